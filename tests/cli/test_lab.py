"""rustbalance lab, without a network: what it hands on. The demo itself is a live test."""

from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.python.failure import Failure

import rustbalance.lab
import rustbalance.lab.demo
from tests.cli.case import CliCase


class LabTests(CliCase):
    """The words on the command line and the exit status."""

    def test_down_and_status(self) -> None:
        """Both get the directory, and their result is the exit status."""
        seen: list[tuple[str, Path]] = []

        def noted(name: str, result: int) -> Any:
            def note(directory: Path) -> int:
                seen.append((name, directory))
                return result

            return note

        self.patch(rustbalance.lab, "lab_down", noted("down", 0))
        self.patch(rustbalance.lab, "lab_status", noted("status", 1))
        self.assertEqual(self.call("lab", "down", "--dir", self.directory).exit_code, 0)
        self.assertEqual(self.call("lab", "status", "--dir", self.directory).exit_code, 1)
        self.assertEqual(seen, [("down", self.directory), ("status", self.directory)])

    def test_up(self) -> None:
        """All options reach the demo, and what it returns is the exit status."""
        seen: list[Any] = []
        ended: list[object] = []

        async def demo(reactor: Any, *rest: Any) -> int:
            seen.extend(rest)
            return 1

        def note(failure: Failure) -> None:
            failure.trap(SystemExit)
            ended.append(failure.value.args[0] if failure.value else None)

        self.patch(rustbalance.lab.demo, "demo", demo)
        self.patch(task, "react", lambda main, argv: main(object()).addErrback(note))
        self.call("lab", "up", "--seconds", "60", "--check", "--dir", self.directory)
        self.assertEqual((seen, ended), ([60.0, True, 2, self.directory, "direct"], [1]))
        seen.clear()
        self.call("lab", "up", "--nodes", "3", "--carrier", "tor", "--dir", self.directory)
        self.assertEqual(seen, [None, False, 3, self.directory, "tor"])

    def test_too_many(self) -> None:
        """More than five nodes could not join in time."""
        refused = self.call("lab", "up", "--nodes", "7")
        self.assertEqual(refused.exit_code, 2)
        self.assertIn("1<=x<=6", refused.output)
