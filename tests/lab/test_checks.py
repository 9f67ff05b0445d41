"""The checks of ``lab up --check``."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.checks import LARGE, Check, checks, describe
from rustbalance.lab.site import PAGE
from rustbalance.lab.visits import Visit
from rustbalance.life import deferred
from rustbalance.ops.status import Health, NodeStatus
from tests.lab.statuses import member_status, node_status

RIGHT = {
    "/": Visit(True, 0.2, 200, size=len(PAGE), body=PAGE),
    f"/big?bytes={LARGE}": Visit(True, 0.2, 200, size=LARGE),
    "/echo": Visit(True, 0.2, 200, size=16, body=b'{"body":"hello"}'),
    "/nowhere": Visit(False, 0.2, 404),
}


class Node:
    """A node with an address and a status."""

    name = "node1"
    onion_address = "served.onion"

    def __init__(self, status: NodeStatus | None) -> None:
        self._status = status

    async def status(self) -> NodeStatus | None:
        return self._status


class Pages:
    """A visitor who finds ``pages``."""

    def __init__(self, pages: dict[str, Visit]) -> None:
        self._pages = pages

    async def fetch(self, onion: str, path: str = "/", **_: Any) -> Visit:
        assert onion == Node.onion_address
        return self._pages[path]


class ChecksTests(SynchronousTestCase):
    """Each check can fail, by itself."""

    def failed(self, pages: dict[str, Visit], status: NodeStatus | None) -> list[str]:
        async def collect() -> list[Check]:
            return [check async for check in checks([Node(status)], Pages(pages))]  # type: ignore[list-item,arg-type]

        found = self.successResultOf(deferred(collect()))
        self.assertEqual(len(found), 6)
        return [check.name for check in found if not check.ok]

    def test_all_well(self) -> None:
        """Nothing is found where nothing is wrong."""
        self.assertEqual(self.failed(RIGHT, node_status(Health.HEALTHY)), [])

    def test_wrong_answers(self) -> None:
        """An answer that came but is not the right one is no success."""
        healthy = node_status(Health.HEALTHY)
        for path, wrong, count in (
            ("/", Visit(True, 0.2, 200, body=b"another page"), 2),
            (f"/big?bytes={LARGE}", Visit(True, 0.2, 200, size=LARGE - 1), 1),
            ("/echo", Visit(True, 0.2, 200, body=b"not JSON"), 1),
            ("/nowhere", Visit(True, 0.2, 200), 1),
        ):
            self.assertEqual(len(self.failed({**RIGHT, path: wrong}, healthy)), count, path)

    def test_no_answer(self) -> None:
        """When nothing comes, no check of a page passes."""
        nothing = Visit(False, 30.0, error="nothing within 30 s")
        self.assertEqual(len(self.failed(dict.fromkeys(RIGHT, nothing), node_status(Health.HEALTHY))), 5)

    def test_status(self) -> None:
        """A node that is degraded or silent is not healthy."""
        for status in (node_status(Health.DEGRADED), None):
            self.assertEqual(self.failed(RIGHT, status), ["node1 is healthy"])

    def test_several_nodes(self) -> None:
        """Each is looked at, and one whose points another publishes says so."""

        async def collect() -> list[Check]:
            nodes = [Node(member_status("a", "a", ("a", "b"), 6)), Node(member_status("b", "a"))]
            return [check async for check in checks(nodes, Pages(RIGHT))]  # type: ignore[arg-type]

        found = self.successResultOf(deferred(collect()))[-2:]
        self.assertEqual([check.ok for check in found], [True, True])
        self.assertEqual([check.detail for check in found], ["16 uploads confirmed", "its points are published by a"])

    def test_words(self) -> None:
        """A line says what came of it."""
        self.assertEqual(describe(Visit(True, 0.25, 200, size=1234)), "200, 1,234 bytes in 0.25 s")
        self.assertEqual(describe(Visit(False, 30.0, error="nothing")), "nothing after 30.00 s")
        self.assertEqual(str(Check("it works", False, "no")), "FAIL  it works: no")
