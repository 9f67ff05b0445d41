"""Tests for L{rustbalance.ops.directories}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.directories import DirectoryReport, DirectoryRow, Finding

ROW = DirectoryRow(seat="first", directory="A" * 40, finding=Finding.VERIFIED, revision=7, expected=7)


class DirectoryReportTests(SynchronousTestCase):
    """The picture travels whole and says whether all is well."""

    def test_json(self) -> None:
        """What is read back is what was written."""
        report = DirectoryReport(number=1, running=False, publishes=True, age_secs=1.5, asked="first", rows=(ROW,))
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(report), type=DirectoryReport), report)

    def test_good(self) -> None:
        """All is well when each row is, there is one, and nothing kept us from asking."""

        def good(*findings: Finding, problem: str | None = None) -> bool:
            rows = tuple(msgspec.structs.replace(ROW, finding=finding) for finding in findings)
            return DirectoryReport(number=1, running=False, publishes=True, problem=problem, rows=rows).good

        self.assertTrue(good(Finding.VERIFIED, Finding.CONFIRMED, Finding.NEWER, Finding.UNASKED))
        self.assertFalse(good())
        self.assertFalse(good(Finding.VERIFIED, problem="no Tor"))
        for finding in Finding:
            self.assertEqual(good(Finding.VERIFIED, finding), finding.good)

    def test_lost_is_never_good(self) -> None:
        """What has to be posted again is not good."""
        self.assertEqual([finding for finding in Finding if finding.lost and finding.good], [])
