"""
One Tor process of the lab.

Owns: a data directory, a torrc and the child that runs on them. In: a name, the torrc's text; out: ``LabTor``.
"""

import os
from pathlib import Path
from typing import Any

from rustbalance.files import private_directory
from rustbalance.lab import torrc
from rustbalance.lab.child import Child, spawn
from rustbalance.lab.control import ControlLink
from rustbalance.life import within

STARTING = 20.0


class LabTor:
    """
    A Tor that runs in ``directory`` with ``options`` (torrc lines) and ends with the lab.

    ``control_port`` is the port in ``options``, 0 when there is none.
    """

    def __init__(self, name: str, directory: Path, options: str, reactor: Any, control_port: int = 0) -> None:
        self.name = name
        self.directory = private_directory(directory)
        self.control_port = control_port
        self.options = options
        self._reactor = reactor
        self.child: Child | None = None

    def start(self) -> Child:
        """Write the torrc and start the process."""
        path = self.directory / "torrc"
        path.write_text(torrc.process(self.directory, os.getpid()) + self.options)
        self.child = spawn(self._reactor, self.name, ("tor", "-f", str(path), "--hush"), self.directory)
        return self.child

    async def control(self) -> ControlLink:
        """Open a control connection of its own; close it yourself."""
        return await within(STARTING, self._reactor, ControlLink.open(self.control_port, self._reactor))

    async def stop(self) -> None:
        """End the process."""
        if self.child is not None:
            await self.child.stop()
