# Every task of the project in one line each; deploy/prepare.sh does the setting up.
SHELL := /bin/bash
BIN := .venv/bin
TRIAL := $(BIN)/python -m twisted.trial --temp-directory=_trial_temp
UNIT = $(shell find tests -name 'test_*.py' -not -path 'tests/live/*' -not -path 'tests/drills/test_drill_*' | sort)
FIGURES = $(addprefix tests.live.test_,cluster partition cluster_tor cluster_wireguard join)
LOCK = uv pip compile --universal --python-version 3.11 --generate-hashes -q --custom-compile-command "make lock"

.PHONY: help venv system lint format types unit live test figures drills sim sim-all sim-scale demo soak bench lock clean

help:                       ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

venv:                       ## the virtual environment .venv with hash-pinned dependencies
	@deploy/prepare.sh venv

system:                     ## also the system packages (tor)
	@deploy/prepare.sh system

lint: venv                  ## ruff, formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: venv                ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: venv                 ## mypy
	$(BIN)/mypy

unit: system                ## unit and property tests
	$(TRIAL) -j2 $(UNIT)

live: system                ## tests against real tor daemons on loopback
	TRIAL_ARGS=--temp-directory=_trial_temp_live $(BIN)/python -m tests.live

figures: system             ## what clusters are measured by, over all carriers: takeovers, spread, a partition, joining
	LIVE_WORKERS=1 TRIAL_ARGS=--temp-directory=_trial_temp_figures $(BIN)/python -m tests.live $(FIGURES)

sim: venv                   ## one simulated cluster, event by event: make sim SEED=7 NODES=7
	$(BIN)/python -m tests.sim.run --seed $(or $(SEED),0) --nodes $(or $(NODES),7) $(ARGS)

sim-all: venv               ## 10,000 simulated clusters of 7 nodes on all processors
	$(BIN)/python -m tests.sim.many --processes $$(nproc) $(ARGS)

sim-scale: venv             ## 100 nodes for one simulated hour: the measurements of docs/scaling.md
	$(BIN)/python -m tests.sim.scale $(ARGS)

test: system lint types unit live  ## everything that must be green

drills: system              ## break everything once, watch it mend itself, write docs/reliability.md
	@deploy/prepare.sh drills
	$(BIN)/python -m tests.drills

demo: system                ## a private Tor network with two nodes: make demo ARGS="--nodes 3 --seconds 90 --check"
	@$(BIN)/rustbalance lab up $(ARGS)

soak: system                ## two test-network days (16 minutes) of visits: make soak ARGS="--nodes 3"
	$(BIN)/python -m rustbalance.lab.soak $(ARGS)

bench: system               ## the measurements behind every speed claim
	@for b in tests/bench/bench_*.py; do $(BIN)/python -m tests.bench.$$(basename $$b .py) || exit 1; done

lock:                       ## bring the lock files up to date (needs uv)
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) build.in -o build.lock

clean:                      ## remove what was built
	rm -rf .venv build dist _trial_temp* .mypy_cache .ruff_cache .hypothesis .lab *.egg-info
