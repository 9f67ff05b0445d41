#!/usr/bin/env bash
# Makes a checkout ready to run: system packages that are missing, .venv, hash-pinned dependencies, the package itself.
# Safe to run twice; the second run only compares stamps. Used by the Makefile (venv, demo, test).
#   deploy/prepare.sh venv      Python and the virtual environment
#   deploy/prepare.sh system    also the programs the private network and the tests need (tor, WireGuard)
#   deploy/prepare.sh drills    also what only the drills need: a library that makes a clock wrong, a machine to boot
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_packages() {
    say "installing system packages: $*"
    command -v apt-get >/dev/null || { say "please install $* (only apt is known here)"; exit 1; }
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # A service that starts by itself on installation is not wanted: every tor here is a child of ours.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap "as_root rm -f '$policy'" EXIT
        trap 'exit 130' INT TERM
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    [ -z "$(trap -p EXIT)" ] || { as_root rm -f "$policy"; trap - EXIT INT TERM; }
}

python_command() {
    local candidate
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

ensure_python() {
    local python
    python=$(python_command) || { install_packages python3 python3-venv; python=$(python_command); }
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    printf '%s\n' "$python"
}

ensure_venv() {
    local wanted
    # The tools' settings in pyproject.toml do not change what is installed.
    wanted=$( (cat requirements-dev.lock build.lock setup.cfg deploy/prepare.sh; sed '/^\[tool/,$d' pyproject.toml) |
        sha256sum | cut -d' ' -f1)
    if [ "$(cat .venv/prepared 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    local python
    python=$(ensure_python)
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
    say "installing the hash-pinned dependencies"
    .venv/bin/pip install -q --disable-pip-version-check --require-hashes -r build.lock
    .venv/bin/pip install -q --disable-pip-version-check --require-hashes --no-build-isolation -r requirements-dev.lock
    .venv/bin/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    .venv/bin/python -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))'
    printf '%s\n' "$wanted" > .venv/prepared
    say ".venv is ready"
}

has_admin() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

ensure_system() {
    local missing=("$@")
    command -v tor >/dev/null && command -v tor-gencert >/dev/null || missing+=(tor)
    # The WireGuard tests make network namespaces; wireguard-go is for kernels that have no WireGuard.
    has_admin ip || missing+=(iproute2)
    has_admin wg || missing+=(wireguard-tools)
    has_admin wireguard-go || missing+=(wireguard-go)
    [ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"
}

# A machine with Debian's own units, in which an ordinary user may have Tor restarted.
booted_machine() {
    has_admin systemd-nspawn || echo systemd-container
    [ -x /usr/lib/polkit-1/polkitd ] || echo polkitd
}

wrong_clocks() { compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || echo libfaketime; }

case "${1:-venv}" in
    venv) ensure_venv ;;
    system) ensure_system; ensure_venv ;;
    drills) ensure_system $(wrong_clocks) $(booted_machine); ensure_venv ;;
    *) echo "usage: $0 [venv|system|drills]" >&2; exit 2 ;;
esac
