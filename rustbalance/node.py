"""
The node: everything that runs on one machine to serve the address.

Owns: the order in which the parts start and stop, and the picture of the whole. In: the path of the configuration;
out: a service for twistd. Secrets are loaded when it starts, which is after twistd has become a daemon, and wiped when
the last part has stopped.

Stopping goes from the outside in: the other nodes are told and publishing ends, visitors are let finish, then Tor goes,
last the control socket.
"""

import gc
import os
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
from rustbalance.config import Config, ConfigError, check_master_address, load_config
from rustbalance.coordination.making import Mesh, coordination, key_ring
from rustbalance.coordination.node_key import node_key
from rustbalance.coordination.service import Coordination, source_of
from rustbalance.files import UnsafePath, private_directory
from rustbalance.joining.making import Door, remembered
from rustbalance.joining.records import Joining, StateDamaged
from rustbalance.key_files import KeyFileError, load_master_key
from rustbalance.life import OrderedServices, now
from rustbalance.mesh.stream_carrier import UnusableAddress
from rustbalance.onion.keys import MasterKey
from rustbalance.ops.control_socket import ControlSocket
from rustbalance.ops.lock import Lock
from rustbalance.ops.status import MemoryStatus, NodeStatus, judge
from rustbalance.ops.verbs import Verbs
from rustbalance.proxy.front import Front
from rustbalance.proxy.pages import answer_reserved
from rustbalance.proxy.socks import SocksAddress
from rustbalance.proxy.tls import BadAuthorities
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.publisher import Publisher
from rustbalance.secrets import (
    MemoryNotLocked,
    everything_locked,
    harden_process,
    locked_bytes,
    require_locking,
    wipe_all,
)
from rustbalance.tor.external import ExternalTor
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.managed import ManagedTor
from rustbalance.tor.torrc import SocketPathTooLong
from rustbalance.wiring import (
    coordination_settings,
    external_settings,
    join_settings,
    managed_settings,
    mesh,
    proxy_settings,
    publish_settings,
    socks_address,
)

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
            self._tor.wind_down()
        return super().stopService().addBoth(self._stopped)

    def status(self) -> NodeStatus:
        """Return the picture of the node."""
        instances = tuple(tor.status() for tor in (self._tor, self._scout) if tor is not None)
        descriptors, proxy = self._publisher.status(), self._front.status()
        cluster = self._coordination.status()
        found = (*self._publisher.problems(), *(() if self._door is None else self._door.problems()))
        health, problems = judge(instances, descriptors, proxy, found, cluster)
        return NodeStatus(
            version=__version__,
            node_id=self._config.node.id,
            onion_address=self._address.text,
            health=health,
            problems=problems,
            uptime_secs=now().mono - self._began.mono,
            instances=instances,
            descriptors=descriptors,
            proxy=proxy,
            memory=MemoryStatus(locked=everything_locked(), locked_bytes=locked_bytes()),
            cluster=cluster,
        )

    def _build(self) -> None:
        harden_process()
        keep_the_loop_free()
        config = self._config = load_config(self._path)
        require_locking(config.security.require_mlock)
        private_directory(config.state_dir)
        self._lock = Lock(config.state_dir / "lock")
        self._key = load_master_key(config.master.identity_key_path)
        self._address = self._key.address
        check_master_address(config, self._address)
        self._tor = self._make_tor(config, self._key)
        self._publisher = Publisher(
            self._tor,
            self._key,
            publish_settings(config),
            RevisionStore(config.state_dir / "revisions.json"),
            self._reactor,
            os.urandom,
            source_of(config.node.id),
        )
        joining = remembered(config.state_dir)
        talk = mesh(config, None if joining is None else joining.tunnel_ip)
        self._node_key = node_key(config.node.key, config.state_dir / "node.key")
        self._coordination, self._scout = self._make_coordination(config, talk, joining)
        self._door = None if talk is None else self._make_door(config, talk)
        intercept = answer_reserved if self._door is None else self._door.intercept
        self._front = Front(proxy_settings(config), self._socks, self._reactor, intercept)
        verbs: Verbs = {"status": self.status, "forget": self._coordination.forget}
        control = ControlSocket(config.control_socket, verbs, self._reactor)
        joiner = None if self._door is None else self._door.joiner
        for part in (control, self._scout, self._tor, self._front, self._publisher, self._coordination, joiner):
            if part is not None:
                part.setServiceParent(self)

    def _make_coordination(
        self, config: Config, talk: Mesh | None, joining: Joining | None
    ) -> tuple[Coordination, TorInstance | None]:
        settings = coordination_settings(config, b"" if joining is None else joining.ticket.id)
        return coordination(settings, self._node_key, self._publisher, talk, self._reactor, os.urandom)

    def _make_door(self, config: Config, talk: Mesh) -> Door | None:
        settings = join_settings(config, self._address.text)
        if settings is None:
            return None
        ring = key_ring(talk.tokens)
        door = Door(settings, ring, self._node_key, self._coordination, self._socks, self._reactor, os.urandom)
        self._coordination.outside = lambda: door.outside
        self._tor.subscribe(door)
        return door

    def _make_tor(self, config: Config, key: MasterKey) -> ManagedTor | ExternalTor:
        if config.tor.mode == "managed":
            return ManagedTor("primary", managed_settings(config, self._forward_to), key, self._reactor)
        settings = external_settings(config, self._forward_to)
        return ExternalTor("primary", settings, key, self._reactor, password=config.tor.control_password)

    def _socks(self) -> SocksAddress | None:
        serving = self._tor.status().phase == "serving"
        return socks_address(self._tor.socks) if serving else None

    def _forward_to(self) -> str:
        return self._front.address

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
