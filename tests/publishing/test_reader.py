"""Tests for L{rustbalance.publishing.reader}, on a Tor in memory and in simulated time."""

import shutil

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing.reader import Circumstances, Reader, Readers
from rustbalance.publishing.settings import PublishSettings
from tests.publishing.memory import Node


class ReaderTests(SynchronousTestCase):
    """L{Reader} knows what an instance offers."""

    def setUp(self) -> None:
        self.node = node = Node()
        self.addCleanup(shutil.rmtree, node.directory)
        self.told: list[tuple[str, int, bool]] = []
        self.periods = [node.plan.first.period]
        self.around = Circumstances(
            "alpha",
            node.master.address,
            PublishSettings(),
            lambda: self.periods,
            lambda: False,
            node.clock,
            node.now,
        )
        self.readers = Readers(node.pair.instances, self.around, self.offered)
        self.readers.start()

    def offered(self, reader: Reader, news: bool) -> None:
        """Note what is offered."""
        self.told.append((reader.source, len(reader.inner.points), news))

    def start(self) -> None:
        """Start Tor."""
        self.node.pair.startService()
        self.node.settle()

    def test_offers(self) -> None:
        """What Tor has is told under the name of node and instance; only a change that clients see is news."""
        self.node.have_points(1, 2, 3)
        self.start()
        self.node.later(0.25)
        self.assertEqual(self.told, [("alpha/primary", 3, True), ("alpha/primary", 3, False)])
        self.assertEqual(len(self.readers.newest({"alpha/primary", "beta/primary"})["alpha/primary"].points), 3)
        self.assertEqual(self.readers.newest({"beta/primary"}), {})

    def test_gone(self) -> None:
        """When the instance goes, so do its points, at once."""
        self.node.have_points(1, 2, 3)
        self.start()
        self.told.clear()
        self.node.tor.drop()
        self.node.settle()
        self.assertEqual(self.told[0], ("alpha/primary", 0, True))

    def test_gone_in_the_middle_of_a_read(self) -> None:
        """An answer that comes after the end of its Tor is not believed."""
        answer: Deferred[bytes] = Deferred()

        async def slow(*_: object) -> bytes:
            return await answer

        self.start()
        control = self.node.instance.control
        self.patch(control, "own_descriptor", slow)
        self.node.later(0.5)
        self.told.clear()
        self.node.instance.obstacle = RuntimeError("broken")
        self.node.tor.drop()
        self.node.settle()
        self.assertEqual(self.told, [])

    def test_periods_not_known(self) -> None:
        """Before the consensus is read nothing can be understood, and nothing is told; then it is."""
        known, self.periods = self.periods, []
        self.node.have_points(1, 2, 3)
        self.start()
        self.assertEqual(self.told, [])
        self.periods = known
        self.node.later(0.25)
        self.assertEqual(self.told, [("alpha/primary", 3, True)])

    def test_nonsense(self) -> None:
        """What cannot be read is a problem with the name of the instance, logged once, until it is read again."""
        self.node.tor.info[f"hs/service/desc/id/{self.node.master.address.label}"] = b"nonsense\n"
        with capturedLogs() as logs:
            self.start()
            self.node.later(5)
        self.assertIn("Tor (primary) cannot be read", self.readers.problems()[0])
        self.assertEqual(len([event for event in logs if event["log_level"] is LogLevel.error]), 1)
        self.node.have_points(1)
        self.node.later(1)
        self.assertEqual(self.readers.problems(), ())

    def test_hint(self) -> None:
        """Word of a circuit makes us look at once."""
        self.node.have_points(1, 2, 3)
        self.start()
        self.node.later(20)
        self.node.have_points(4, 5, 6)
        self.told.clear()
        self.node.tor.emit(f"HS_DESC CREATED {self.node.master.address.label} UNKNOWN UNKNOWN x")
        self.node.settle()
        self.assertEqual(self.told, [("alpha/primary", 3, True)])

    def test_stop(self) -> None:
        """After the stop nothing is offered and nobody is asked."""
        self.node.have_points(1, 2, 3)
        self.start()
        self.readers.stop()
        self.assertEqual(self.told[-1], ("alpha/primary", 0, True))
        self.told.clear()
        self.node.tor.drop()
        self.node.later(10)
        self.assertEqual(self.told, [])
