"""A newcomer that asks until somebody lets it in, through a real SOCKS server and a real front."""

from pathlib import Path
from threading import get_ident

from rustbalance.files import write_atomically
from rustbalance.joining import records
from rustbalance.joining.records import JoinFile, Joining, StateDamaged
from rustbalance.life import pause, threads
from rustbalance.mesh.tunnel_addresses import DEFAULT_NETWORK
from tests.cluster.samples import KEYS, NOW, record
from tests.joining.nodes import HOST, JoiningCase, Trial, _endpoint
from tests.joining.samples import Newcomer
from tests.proxy.wire import eventually, reactor


class JoinerTests(JoiningCase):
    """From the first attempt to the last."""

    async def run_until_done(self, trial: Trial) -> None:
        """Start and wait."""
        trial.joiner.startService()
        await eventually(lambda: trial.joiner.done, "the join")

    async def test_joins(self) -> None:
        """It is let in at the first attempt, knows the members, and that is on the disk."""
        gate = self.gate()
        server, address = self.way_to(self.member(gate))
        trial = self.joiner(Newcomer(), address)
        self.assertFalse(trial.joiner.done)
        await self.run_until_done(trial)
        self.assertEqual([response.record.id for response in trial.responses], ["a"])
        self.assertEqual(gate.admitted, [trial.newcomer.record()])
        state = trial.store.read()
        assert state is not None
        self.assertEqual((state.joined_at, state.members), (NOW.wall, (record("a"), record("b"))))
        self.assertIsNone(trial.joiner.problem())
        self.assertEqual(len(server.isolations), 1)

    async def test_off_the_event_loop(self) -> None:
        """What it remembers is written by another thread, before it takes itself for a member."""
        _, address = self.way_to(self.member(self.gate()))
        trial = self.joiner(Newcomer(), address)
        trial.store = JoinFile(trial.store.path, Joining, threads(reactor))
        trial.joiner = trial.open()
        writers: list[tuple[int, bool]] = []

        def note(path: Path, data: bytes) -> None:
            if path == trial.store.path:
                writers.append((get_ident(), trial.joiner.done))
            write_atomically(path, data)

        self.patch(records, "write_atomically", note)
        await self.run_until_done(trial)
        self.assertEqual([done for _, done in writers], [False])
        self.assertNotIn(get_ident(), dict(writers))

    async def test_once(self) -> None:
        """After a restart there is nothing to do; nor is there for the first node of a cluster."""
        server, address = self.way_to(self.member(self.gate()))
        trial = self.joiner(Newcomer(), address)
        await self.run_until_done(trial)
        for again in (trial.open(), self.joiner(Newcomer(), address, pending=False).joiner):
            self.assertTrue(again.done)
            again.startService()
            await pause(reactor, 0.05)
        self.assertEqual((len(trial.responses), len(server.isolations)), (1, 1))

    async def test_tunnel(self) -> None:
        """Where it needs an address inside the tunnel it gets one first, keeps it, and then joins with it."""
        gate = self.gate(DEFAULT_NETWORK)
        _, address = self.way_to(self.member(gate))
        trial = self.joiner(Newcomer(), address, tunnel=True)
        await self.run_until_done(trial)
        state = trial.store.read()
        assert state is not None
        self.assertIsNotNone(state.tunnel_ip)
        self.assertTrue(gate.admitted[0].addresses[0].endswith(f"/{state.tunnel_ip}"))
        self.assertEqual((len(gate.admitted), len(trial.responses)), (1, 1))

    async def test_no_tunnel_there(self) -> None:
        """A member that gives no addresses is a misunderstanding, which is told."""
        _, address = self.way_to(self.member(self.gate()))
        trial = self.joiner(Newcomer(), address, tunnel=True)
        trial.joiner.startService()
        await eventually(lambda: trial.joiner.problem(), "a problem")
        self.assertIn("inside the tunnel", str(trial.joiner.problem()))

    async def test_fresh_circuits(self) -> None:
        """Each attempt has circuits of its own, so that it may reach somebody else; pauses grow with the failures."""
        gate = self.gate()
        gate.view = None
        server, address = self.way_to(self.member(gate))
        trial = self.joiner(Newcomer(), address)
        trial.joiner.startService()
        await eventually(lambda: len(trial.pauses) >= 4, "four attempts")
        self.assertIn("404", str(trial.joiner.problem()))
        gate.view = self.gate().view
        await eventually(lambda: trial.joiner.done, "the join")
        self.assertEqual(trial.pauses[:4], [1, 2, 3, 4])
        self.assertNotIn(None, server.isolations)
        self.assertEqual(len(set(server.isolations)), len(server.isolations))

    async def test_itself(self) -> None:
        """An answer of its own is none (D-46): it goes on until somebody else answers."""
        ours = self.gate(name="c")
        ours.view = type(ours.view)(record("c"), ())  # type: ignore[misc]
        server, address = self.way_to(self.member(ours))
        trial = self.joiner(Newcomer("c", key=KEYS["c"]), address)
        trial.joiner.startService()
        await eventually(lambda: len(trial.pauses) >= 2, "two attempts")
        self.assertIn("came back to this node", str(trial.joiner.problem()))
        self.assertFalse(trial.responses)
        server.routes[(HOST, 80)] = _endpoint(self.member(self.gate()))
        await eventually(lambda: trial.joiner.done, "the join")
        self.assertEqual(trial.responses[0].record.id, "a")

    async def test_before_tor_is_there(self) -> None:
        """Without Tor, or without an address of its own, it waits; a poke ends the pause at once."""
        _, address = self.way_to(self.member(self.gate()))
        trial = self.joiner(Newcomer(), None)
        trial.pause = 600.0
        trial.joiner.startService()
        self.assertIn("Tor is not ready", str(trial.joiner.problem()))
        trial.address, trial.known = address, False
        trial.joiner.poke()
        await eventually(lambda: "own address" in str(trial.joiner.problem()))
        trial.known = True
        trial.joiner.poke()
        await eventually(lambda: trial.joiner.done, "the join")

    async def test_hung(self) -> None:
        """Streams that never open, and answers that never come, have deadlines."""
        server, address = self.way_to(None)
        trial = self.joiner(Newcomer(), address, attempt=0.2)
        trial.joiner.startService()
        await eventually(lambda: len(trial.pauses) >= 2, "two attempts")
        self.assertIn("in time", str(trial.joiner.problem()))
        server.routes[(HOST, 80)] = 4
        await eventually(lambda: "in time" not in str(trial.joiner.problem()))
        server.routes[(HOST, 80)] = _endpoint(self.member(self.gate()))
        await eventually(lambda: trial.joiner.done, "the join")

    async def test_stop(self) -> None:
        """Stopping breaks off at any point, and the next start goes on."""
        server, address = self.way_to(None)
        trial = self.joiner(Newcomer(), address)
        trial.joiner.startService()
        await eventually(lambda: server.isolations, "an attempt")
        trial.joiner.stopService()
        await pause(reactor, 0.1)
        self.assertEqual(len(server.isolations), 1)
        trial.address, trial.pause = None, 600.0
        trial.joiner.startService()
        trial.joiner.stopService()
        server.routes[(HOST, 80)] = _endpoint(self.member(self.gate()))
        trial.address = address
        await self.run_until_done(trial)

    async def test_lost_answer(self) -> None:
        """A newcomer that was killed before it had the answer asks again and gets it, for free."""
        gate = self.gate()
        _, address = self.way_to(self.member(gate))
        trial = self.joiner(Newcomer(), address)
        await self.run_until_done(trial)
        again = self.joiner(trial.newcomer, address)
        await self.run_until_done(again)
        self.assertEqual(len(gate.admitted), 2)

    async def test_expired(self) -> None:
        """With an old bundle it says so, and still asks: it may have been let in before."""
        gate = self.gate()
        _, address = self.way_to(self.member(gate))
        trial = self.joiner(Newcomer(), address)
        gate.now = trial.now = NOW.later(4000)
        trial.joiner.startService()
        await eventually(lambda: len(trial.pauses) >= 2, "two attempts")
        self.assertIn("expired", str(trial.joiner.problem()))

    async def test_our_own_mistake(self) -> None:
        """An error in what takes the members is logged, and the join is tried again."""
        _, address = self.way_to(self.member(self.gate()))
        trial = self.joiner(Newcomer(), address)
        trial.joiner._joined = lambda response: 1 / 0  # type: ignore[assignment]
        trial.joiner.startService()
        await eventually(lambda: len(trial.pauses) >= 1, "an attempt")
        self.assertIn("see the log", str(trial.joiner.problem()))
        self.assertIsNone(trial.store.read().joined_at)  # type: ignore[union-attr]
        trial.joiner._joined = trial.responses.append
        await eventually(lambda: trial.joiner.done, "the join")
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_damaged(self) -> None:
        """A state that cannot be read is told before anything starts."""
        trial = self.joiner(Newcomer(), None)
        trial.store.path.write_bytes(b"{")
        self.assertRaises(StateDamaged, trial.open)
