"""Tests for L{rustbalance.ops.logs}."""

import io
import json

from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.logs import observer


class ObserverTests(SynchronousTestCase):
    """L{observer} shows what operators asked to see, one line an event."""

    def logged(self, form: str, level: str) -> tuple[Logger, Logger, io.StringIO]:
        """Return a logger of ours, one of Twisted's and the stream that both end in."""
        stream = io.StringIO()
        publisher = LogPublisher(observer(stream, form, level))  # type: ignore[arg-type]
        return Logger("rustbalance.node", observer=publisher), Logger("twisted.web", observer=publisher), stream

    def test_json_is_one_object_a_line(self) -> None:
        """Each event is one parsable line with time, level, source and the formatted message."""
        ours, _, stream = self.logged("json", "info")
        ours.warn("{n} of {m} directories\nconfirmed", n=3, m=8)
        record = json.loads(stream.getvalue())
        self.assertEqual(record["level"], "warn")
        self.assertEqual(record["source"], "rustbalance.node")
        self.assertEqual(record["message"], "3 of 8 directories\nconfirmed")
        self.assertEqual(stream.getvalue().count("\n"), 1)

    def test_failures_carry_their_traceback(self) -> None:
        """A logged failure keeps the exception and where it came from."""
        ours, _, stream = self.logged("json", "info")
        try:
            raise ValueError("broken")
        except ValueError:
            ours.failure("job failed", failure=Failure())
        record = json.loads(stream.getvalue())
        self.assertEqual(record["level"], "critical")
        self.assertIn("ValueError: broken", record["traceback"])

    def test_level(self) -> None:
        """What lies below the level asked for is not written."""
        ours, _, stream = self.logged("text", "warn")
        ours.info("quiet")
        ours.error("loud")
        self.assertNotIn("quiet", stream.getvalue())
        self.assertIn("loud", stream.getvalue())

    def test_libraries_are_heard_from_warn_upwards(self) -> None:
        """Twisted's everyday messages are left out, its warnings are not, and error still means error."""
        _, theirs, stream = self.logged("text", "debug")
        theirs.info("Starting factory")
        theirs.warn("something odd")
        self.assertNotIn("factory", stream.getvalue())
        self.assertIn("something odd", stream.getvalue())
        _, theirs, stream = self.logged("text", "error")
        theirs.warn("something odd")
        self.assertEqual(stream.getvalue(), "")
