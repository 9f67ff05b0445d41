"""
Does it work, as a visitor sees it?

Owns: the checks of ``lab up --check``. In: the nodes of an address and a visitor; out: one ``Check`` after the other.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import msgspec

from rustbalance.lab.client import Visitor
from rustbalance.lab.node import LabNode
from rustbalance.lab.site import PAGE
from rustbalance.lab.visits import Visit
from rustbalance.ops.status import Health, NodeStatus

LARGE = 1_000_000


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.name}: {self.detail}"


async def checks(nodes: Sequence[LabNode], visitor: Visitor) -> AsyncIterator[Check]:
    """Look at everything that a visitor of the ``nodes`` can see, and at what each says about itself."""
    address = nodes[0].onion_address
    page = await visitor.fetch(address)
    yield _check("the page comes through Tor", page, page.body == PAGE)
    fresh = await visitor.fetch(address, fresh_descriptor=True)
    yield _check("and again with a descriptor fetched anew", fresh, fresh.body == PAGE)
    large = await visitor.fetch(address, f"/big?bytes={LARGE}")
    yield _check("a large answer arrives whole", large, large.size == LARGE)
    posted = await visitor.fetch(address, "/echo", method="POST", data=b"hello")
    yield _check("a request body arrives", posted, _echoed(posted.body) == "hello")
    missing = await visitor.fetch(address, "/nowhere")
    yield Check("the site's own 404 is passed on", missing.status == 404, describe(missing))
    for node in nodes:
        yield await _healthy(node)


def _check(name: str, visit: Visit, right: bool) -> Check:
    return Check(name, visit.ok and right, describe(visit))


def describe(visit: Visit) -> str:
    """Say in a few words what came of a visit."""
    if visit.status is None:
        return f"{visit.error} after {visit.seconds:.2f} s"
    return f"{visit.status}, {visit.size:,} bytes in {visit.seconds:.2f} s"


def _echoed(body: bytes) -> str | None:
    try:
        echo = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    return echo.get("body") if isinstance(echo, dict) else None


async def _healthy(node: LabNode) -> Check:
    name, status = f"{node.name} is healthy", await node.status()
    if status is None:
        return Check(name, False, "it does not answer at its control socket")
    return Check(name, status.health is Health.HEALTHY, "; ".join(status.problems) or _role(status))


def _role(status: NodeStatus) -> str:
    """Say what a node without problems does."""
    if status.descriptors:
        return f"{sum(one.confirmed for one in status.descriptors)} uploads confirmed"
    publisher = None if status.cluster is None else status.cluster.publisher
    return f"its points are published by {publisher}"
