"""
The node: everything that runs on one machine to serve the address.

Owns: starting and stopping the parts that ``building`` makes, signals, and the picture of the whole. In: the path of
the configuration; out: a service for twistd. Secrets are loaded when it starts, which is after twistd has become a
daemon, and wiped when the last part has stopped.

Stopping goes from the outside in: the other nodes are told and publishing ends, visitors are let finish, then Tor goes,
last the control socket.
"""

import gc
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceCollection
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from rustbalance import __version__
from rustbalance.building import Parts
from rustbalance.config import Config, ConfigError, load_config
from rustbalance.files import UnsafePath, private_directory
from rustbalance.joining.records import StateDamaged
from rustbalance.key_files import KeyFileError
from rustbalance.life import OrderedServices, now
from rustbalance.mesh.stream_carrier import UnusableAddress
from rustbalance.ops.lock import Lock
from rustbalance.ops.status import MemoryStatus, NodeStatus, judge
from rustbalance.ops.summary import summarize
from rustbalance.proxy.tls import BadAuthorities
from rustbalance.secrets import (
    MemoryNotLocked,
    everything_locked,
    harden_process,
    locked_bytes,
    require_locking,
    wipe_all,
)
from rustbalance.tor.torrc import SocketPathTooLong

#: What can be wrong at the start that the operator can mend: told in one line, without a traceback.
EXPECTED = (
    BadAuthorities,
    CannotListenError,
    ConfigError,
    KeyFileError,
    MemoryNotLocked,
    OSError,
    SocketPathTooLong,
    StateDamaged,
    UnsafePath,
    UnusableAddress,
)


def keep_the_loop_free() -> None:
    """
    Let no thread and no garbage collection hold the event loop for more than a few milliseconds.

    The ring of a full-size consensus is computed in a thread, which by default may keep the interpreter for 5 ms at a
    time; and what was imported by now need not be searched for garbage ever again (``tests/bench/bench_ring.py``).
    """
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()


class NodeService(OrderedServices):
    """
    The service tree. ``observer``: a log observer to give to twistd, or None to leave its log alone.

    :raises SystemExit: (at start) with status 1 when it cannot start; the log says why.
    """

    log = Logger()

    def __init__(self, path: Path, checked: Config, reactor: Any, observer: ILogObserver | None = None) -> None:
        super().__init__(reactor, checked.shutdown_deadline_secs)
        self._loop = reactor
        self.setName("node")
        self._path = path
        self._observer = observer
        self._began = now()
        self._config = checked
        self._lock: Lock | None = None

    def setServiceParent(self, parent: IServiceCollection) -> None:  # noqa: N802
        """Join twistd's application, and give it our log observer."""
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Load the secrets, build the parts and bind the front's socket, so that Tor finds it when it starts."""
        self._or_exit(self._prepare)

    def startService(self) -> None:
        """Start the parts; from then on every failure is retried."""
        self._or_exit(self._start)
        self._loop.callWhenRunning(self._stop_on_signals)
        self.log.info("node {node} starts, version {version}", node=self._config.node.id, version=__version__)

    def _prepare(self) -> None:
        self._began = now()
        self._build()
        super().privilegedStartService()

    def _start(self) -> None:
        if not self.services:
            self._prepare()  # the runner behind ``python -m twisted`` knows no privileged start
        super().startService()

    def _or_exit(self, step: Callable[[], None]) -> None:
        try:
            step()
        except EXPECTED as error:
            self.log.critical("cannot start: {error}", error=error)
            wipe_all()
            raise SystemExit(1) from None

    def stopService(self) -> Deferred[None]:
        """Stop the parts in turn, then wipe every secret; a Tor that breaks meanwhile is not worth a word."""
        if self.services:
            self._parts.wind_down()
        return super().stopService().addBoth(self._stopped)

    def status(self) -> NodeStatus:
        """Return the picture of the node."""
        parts = self._parts
        instances = tuple(tor.status() for tor in parts.tors.instances)
        descriptors = parts.verifier.status(parts.publisher.status())
        proxy, cluster = parts.front.status(), parts.coordination.status()
        drained = parts.drained
        health, problems = judge(instances, descriptors, proxy, parts.problems(), cluster, drained=drained)
        return NodeStatus(
            version=__version__,
            node_id=self._config.node.id,
            onion_address=parts.address.text,
            health=health,
            problems=problems,
            uptime_secs=now().mono - self._began.mono,
            instances=instances,
            descriptors=descriptors,
            proxy=proxy,
            memory=MemoryStatus(locked=everything_locked(), locked_bytes=locked_bytes()),
            cluster=cluster,
            summary=summarize(health, instances, descriptors, proxy, cluster, problems, drained=drained),
            drained=drained,
            pair=parts.tors.pair.status(),
            canary=None if parts.canary is None else parts.canary.status(),
        )

    def _build(self) -> None:
        harden_process()
        keep_the_loop_free()
        config = self._config = load_config(self._path)
        require_locking(config.security.require_mlock)
        private_directory(config.state_dir)
        self._lock = Lock(config.state_dir / "lock")
        self._parts = Parts(config, self.status, self._reactor)
        for part in self._parts.services:
            part.setServiceParent(self)

    def _stop_on_signals(self) -> None:
        """
        Stop at SIGTERM and SIGINT and exit with 0.

        Twisted's own way would end the process by the same signal once more, which a service manager counts as a
        failure.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._loop.callFromThread(self._stop_once))

    def _stop_once(self) -> None:
        if self._loop.running and self.running:
            self._loop.stop()

    def _stopped(self, result: None) -> None:
        wipe_all()
        if self._lock is not None:
            self._lock.release()
        self.log.info("stopped")
