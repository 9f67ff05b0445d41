"""
A node of ours, run as people run it.

Owns: making a node's directory, its process and asking it how it is. In: a directory, a target or a join bundle, the
include file of a network; out: an onion address that is served. The process is
``python -m twisted rustbalance --config FILE``.
"""

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThreadPool

from rustbalance.cluster.bundle import Bundle
from rustbalance.config import find_places
from rustbalance.files import private_directory
from rustbalance.lab.child import Child, spawn
from rustbalance.lab.state import NodeState
from rustbalance.life import pause, within
from rustbalance.ops.control_client import NoAnswer, NoDaemon, ask
from rustbalance.ops.status import NodeStatus
from rustbalance.provisioning.joined_node import create_joined_node
from rustbalance.provisioning.new_node import create_node

POLL = 0.25
ENDING = 20.0


class LabNode:
    """One node, made afresh in ``directory``, known to others as ``name``; ``onion_address`` is its whole address."""

    def __init__(
        self,
        name: str,
        directory: Path,
        target: str,
        include: Path,
        reactor: Any,
        *,
        carrier: str = "direct",
        bundle: Bundle | None = None,
    ) -> None:
        """
        Make the keys and the configuration: of a first node, or with ``bundle`` of one that joins.

        :param carrier: how a first node speaks with others; a bundle brings that along.
        :raises rustbalance.provisioning.node_files.CannotMake: the path is too long, or the target is none.
        """
        shutil.rmtree(directory, ignore_errors=True)
        private = private_directory(directory)
        if bundle is None:
            made = create_node(private, target, name=name, carrier=carrier, torrc_include=include)
        else:
            made = create_joined_node(private, bundle, name=name, torrc_include=include)
        self.name = name
        self.config = made.config
        self.onion_address = made.address.text
        self.child: Child | None = None
        self._directory = directory
        self._control_socket = find_places(made.config).control_socket
        self._reactor = reactor

    def start(self) -> Child:
        """Start the process; also again after it has ended."""
        command = (sys.executable, "-m", "twisted", "rustbalance", "--config", str(self.config))
        self.child = spawn(self._reactor, self.name, command, self._directory)
        return self.child

    async def status(self) -> NodeStatus | None:
        """Return what the node says about itself, None when it does not answer."""
        try:
            return await deferToThreadPool(
                self._reactor, self._reactor.getThreadPool(), ask, self._control_socket, "status", NodeStatus
            )
        except (NoDaemon, NoAnswer):
            return None

    async def published(self, deadline: float = 120.0) -> NodeStatus:
        """
        Wait until this node's points are published, by itself or by another node, and return the status that says so.

        :raises rustbalance.lab.child.ChildEnded: the node ended.
        :raises twisted.internet.defer.TimeoutError: it took longer than ``deadline`` seconds.
        """
        return await self.until(lambda status: status.published, deadline)

    async def until(self, wanted: Callable[[NodeStatus], bool], deadline: float) -> NodeStatus:
        """
        Wait until the node says about itself what is ``wanted`` and return that.

        :raises rustbalance.lab.child.ChildEnded: the node ended.
        :raises twisted.internet.defer.TimeoutError: it took longer than ``deadline`` seconds.
        """
        return await within(deadline, self._reactor, self._until(wanted))

    async def _until(self, wanted: Callable[[NodeStatus], bool]) -> NodeStatus:
        while True:
            if self.child is not None:
                self.child.raise_if_ended()
            status = await self.status()
            if status and wanted(status):
                return status
            await pause(self._reactor, POLL)

    def kill(self) -> None:
        """Kill the process (SIGKILL), as the tests of recovery do."""
        if self.child is not None:
            self.child.send(signal.SIGKILL)

    async def stop(self) -> None:
        """End the process in its own way."""
        if self.child is not None:
            await self.child.stop(ENDING)

    def describe(self) -> NodeState:
        """Return what other processes may know of it."""
        pid = self.child.pid if self.child else None
        return NodeState(name=self.name, pid=pid or 0, config=str(self.config), onion_address=self.onion_address)
