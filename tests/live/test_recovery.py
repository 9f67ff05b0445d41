"""kill -9 at random moments: the node comes back by itself, and nothing it has written is broken."""

import json
import os
import random
import signal

from twisted.internet import reactor

from rustbalance.life import pause, within
from tests.live.nodes import NodeTestCase

ROUNDS = 20
SEED = 20261124


class RecoveryTests(NodeTestCase):
    """The service manager's part, starting a daemon that died, is played by the test."""

    timeout = 1200

    def counters(self) -> dict[str, int]:
        """Return the revision counters on disk; an unreadable file is a failure."""
        path = self.directory / "node" / "state" / "revisions.json"
        if not path.exists():
            return {}
        found = json.loads(path.read_bytes())
        self.assertIsInstance(found, dict)
        return {str(key): int(value) for key, value in found.items()}

    async def tor_pid(self) -> int | None:
        """Return the process id of the node's Tor, if the node answers."""
        status = await self.node.status()
        return status.instances[0].pid if status else None

    async def kill(self, victim: str) -> None:
        """Kill what the round asks for, and start the daemon again when it died."""
        tor = await self.tor_pid()
        if victim in ("tor", "both") and tor is not None:
            os.kill(tor, signal.SIGKILL)
        if victim in ("daemon", "both"):
            child = self.node.child
            assert child is not None
            self.node.kill()
            await within(10.0, reactor, child.gone())
            self.node.start()

    async def test_twenty_kills(self) -> None:
        """
        After each kill of the daemon, of Tor or of both, pages come again and no counter has gone back.

        The moments are drawn from a seed and lie between the start of Tor and full service, so that kills hit
        bootstrapping, publishing and serving.
        """
        await self.prepare()
        await self.serving()
        await self.page()
        draw = random.Random(SEED)
        victims = [("daemon", "tor", "both")[number % 3] for number in range(ROUNDS)]
        draw.shuffle(victims)
        took = []
        before = self.counters()
        for victim in victims:
            await pause(reactor, draw.uniform(0.0, 4.0))
            await self.kill(victim)
            if draw.random() < 0.3:
                await pause(reactor, draw.uniform(0.0, 3.0))
                await self.kill("daemon")
            took.append(await self.page())
            after = self.counters()
            for key, value in before.items():
                self.assertGreaterEqual(after.get(key, value), value)
            before = after
        print(f"\nback after kill -9: median {sorted(took)[len(took) // 2]:.1f} s, longest {max(took):.1f} s")
        await self.node.published()
