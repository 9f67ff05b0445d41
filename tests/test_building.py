"""Tests for L{rustbalance.building}: the parts of a node and who knows whom."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.building import Parts
from rustbalance.config import load_config
from rustbalance.provisioning.new_node import create_node
from rustbalance.proxy.pages import PAGES, LocalAnswer
from rustbalance.proxy.request import parse_request
from tests.ops.statuses import node

CANARY = parse_request(b"GET /__rustbalance/health HTTP/1.1\r\nHost: m\r\n\r\n")


class BuildingTests(SynchronousTestCase):
    """A node that has been built and not been started."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rb-parts-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.made = create_node(self.directory / "n", "127.0.0.1:9")
        (self.directory / "n" / "state").mkdir(mode=0o700)

    def parts(self) -> Parts:
        """Build the node as its configuration stands."""
        return Parts(load_config(self.made.config), node, Clock())

    def set_canary(self, line: str) -> None:
        """Write a line into the table of that name."""
        text = self.made.config.read_text()
        self.made.config.write_text(text.replace("[canary]", f"[canary]\n{line}\n"))

    def test_order(self) -> None:
        """
        The control socket answers first and last; Tor starts before visitors are let in.

        The cluster is left before publishing ends.
        """
        names = [str(getattr(part, "name", None)) for part in self.parts().services]
        self.assertEqual(names[0], "control socket")
        self.assertLess(names.index("tor"), names.index("front"))
        self.assertLess(names.index("publisher"), names.index("coordination"))

    def test_nothing_serves_yet(self) -> None:
        """Before the start there is no Tor to look at the address with, and every Tor is stopped."""
        parts = self.parts()
        self.assertIsNone(parts.tors.outside())
        self.assertEqual({tor.status().phase for tor in parts.tors.instances}, {"stopped"})

    def test_directories(self) -> None:
        """What checks of the directories find lasting is repaired, what is over is not."""
        parts = self.parts()
        self.assertIn("verifier", [str(getattr(part, "name", None)) for part in parts.services])
        parts._stale(True)
        self.assertIn("the directories do not have the latest descriptor", " ".join(parts.repairs.problems()))
        parts._stale(False)
        self.assertEqual(parts.repairs.problems(), ())
        parts._gets_nowhere("scout", True)
        self.assertIn("nothing comes through Tor (scout): it is being restarted", " ".join(parts.repairs.problems()))
        parts._gets_nowhere("scout", False)
        self.assertEqual(parts.repairs.problems(), ())
        self.assertIsNotNone(parts.verifier.check().problem or parts.verifier.report().problem)

    def test_no_canary(self) -> None:
        """Nobody has asked for a canary: nothing visits the address, and its path is the target's."""
        parts = self.parts()
        self.assertIsNone(parts.canary)
        self.assertIsNone(parts._intercept("primary")(CANARY))

    def test_canary(self) -> None:
        """With a canary its path is answered here, and the door's still is; a token makes a secret of both."""
        self.set_canary("enabled = true")
        parts = self.parts()
        self.assertIn(parts.canary, parts.services)
        intercept = parts._intercept("primary")
        answer = intercept(CANARY)
        assert isinstance(answer, LocalAnswer)
        self.assertEqual((answer.status, answer.body), (200, b'{"status":"ok"}'))
        self.assertIsNotNone(intercept(parse_request(b"POST /.rb/x HTTP/1.1\r\nHost: m\r\n\r\n")))
        self.assertIsNone(intercept(parse_request(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n")))
        self.set_canary('token = "a-token-of-the-operator"')
        self.assertEqual(self.parts()._intercept("primary")(CANARY), PAGES[404])
