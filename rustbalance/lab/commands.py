"""
``rustbalance lab down`` and ``rustbalance lab status``, from any shell.

Owns: ending a lab that another process runs, or that was killed, and saying how one is. In: its directory; out: text
and an exit status. Blocks.
"""

import sys
from pathlib import Path

from rustbalance.config import find_places
from rustbalance.lab.calendar import day_at
from rustbalance.lab.leftovers import end, end_leftovers
from rustbalance.lab.state import LAB_FILE, LabState, NetworkState, NodeState, holder, load
from rustbalance.life import now
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.status import Health, NodeStatus

PATIENCE = 40.0
HEALTHY, DEGRADED, DOWN = 0, 1, 2


def lab_down(directory: Path) -> int:
    """End the lab in ``directory`` with all its processes; return 0, also when there was nothing to end."""
    pid = holder(directory)
    if pid:
        print(f"ending the lab in {directory} (process {pid})", flush=True)
        end(pid, PATIENCE)
    left = end_leftovers(directory)
    if left:
        print(f"ended {left} processes that a killed lab had left behind")
    if pid is None and not left:
        print(f"no lab runs in {directory}")
    return 0


def lab_status(directory: Path) -> int:
    """Say what runs in ``directory``; return 0 when all nodes are healthy, 1 when not, 2 when there is no lab."""
    pid = holder(directory)
    if pid is None:
        print(f"rustbalance: no lab runs in {directory}; start one with: rustbalance lab up", file=sys.stderr)
        return DOWN
    lab = load(directory / LAB_FILE, LabState)
    if lab is None:
        print(f"the lab in {directory} (process {pid}) is starting or ending")
        return DEGRADED
    print(_network_lines(lab.network))
    return max([_node_status(node) for node in lab.nodes], default=HEALTHY)


def _network_lines(network: NetworkState) -> str:
    wall = int(now().wall)
    interval = network.voting_interval
    day = day_at(wall - wall % interval, interval)
    return (
        f"network   {network.authorities} authorities, {network.relays} relays, a vote every {interval} s; {day}\n"
        f"client    SOCKS 127.0.0.1:{network.client.socks_port}, control 127.0.0.1:{network.client.control_port}\n"
        f"include   {network.include_path}"
    )


def _node_status(node: NodeState) -> int:
    try:
        status = ask(find_places(Path(node.config)).control_socket, "status", NodeStatus)
    except (NoDaemon, NoAnswer) as error:
        print(f"{node.name:<10}http://{node.onion_address}/  down: {error}")
        return DEGRADED
    print(f"{node.name:<10}http://{node.onion_address}/  {'; '.join((status.health.value, *status.problems))}")
    return HEALTHY if status.health is Health.HEALTHY else DEGRADED
