"""A node of three is gone for good; the others are told so, and it comes back after all."""

import subprocess
import sys
from pathlib import Path

from twisted.internet.threads import deferToThread

from rustbalance.ops.status import Health, NodeStatus
from tests.live.cluster import ClusterTestCase, published_points

STARTED_WITHIN = 120.0
PROGRAM = Path(sys.executable).with_name("rustbalance")


class ForgetTests(ClusterTestCase):
    """The carrier is C{direct}; the command is run as an operator does."""

    async def forget(self, where: str, node: str) -> "subprocess.CompletedProcess[str]":
        """Run the command on one node."""
        command = [str(PROGRAM), "forget", node, "--config", str(self.members[where].config)]
        return await deferToThread(
            lambda: subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        )

    async def test_forget(self) -> None:
        """
        One that is there is not forgotten. One that was killed keeps all others degraded until one of them is told:
        then they are healthy, also after a restart; and when it is started again it is a member by itself.
        """
        await self.prepare()
        self.start()
        await self.until("nine points published", lambda found: published_points(found) == 9, STARTED_WITHIN)
        refused = await self.forget("alpha", "gamma")
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn("stop it first", refused.stderr)
        self.members["gamma"].kill()
        await self.until("it is missed", lambda found: all(_misses(each, "gamma") for each in found.values()), 30)
        done = await self.forget("alpha", "gamma")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("gamma is forgotten", done.stdout)
        await self.until("all are well", lambda found: all(_is_well(each, 2) for each in found.values()), 30)
        self.members["beta"].kill()
        self.members["beta"].start()
        await self.until("all are well again", lambda found: len(found) == 2 and _all_well(found, 2), STARTED_WITHIN)
        self.members["gamma"].start()
        await self.until("three are", lambda found: len(found) == 3 and _all_well(found, 3), STARTED_WITHIN)
        await self.until("nine points again", lambda found: published_points(found) == 9, STARTED_WITHIN)


def _misses(status: NodeStatus, node: str) -> bool:
    return status.health is Health.DEGRADED and any(f"rustbalance forget {node}" in each for each in status.problems)


def _is_well(status: NodeStatus, members: int) -> bool:
    cluster = status.cluster
    return status.health is Health.HEALTHY and cluster is not None and len(cluster.members) == members


def _all_well(found: dict[str, NodeStatus], members: int) -> bool:
    return all(_is_well(status, members) for status in found.values())
