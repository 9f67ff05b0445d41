"""
The parts of a node.

Owns: making them from the configuration, who is told of whom, and the order in which they start. In: a configuration
with its secrets; out: ``Parts``, services that have not been started.
"""

import os
from collections.abc import Callable
from typing import Any

import msgspec
from twisted.application.service import IService

from rustbalance.config import Config, check_master_address
from rustbalance.coordination.making import Mesh, coordination, key_ring
from rustbalance.coordination.node_key import node_key
from rustbalance.coordination.service import Coordination, source_of
from rustbalance.joining.making import Door, remembered
from rustbalance.joining.records import Joining
from rustbalance.key_files import load_master_key
from rustbalance.ops.control_socket import ControlSocket
from rustbalance.proxy.front import Front
from rustbalance.proxy.pages import answer_reserved
from rustbalance.proxy.socks import SocksAddress
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.publisher import Publisher
from rustbalance.tor.external import ExternalTor
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.managed import ManagedTor
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


class Parts:
    """
    Everything of one node. ``status`` is what the control socket answers to the verb of that name.

    :raises Exception: what is in ``rustbalance.node.EXPECTED`` can be mended by the operator.
    """

    def __init__(self, config: Config, status: Callable[[], msgspec.Struct], reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._key = load_master_key(config.master.identity_key_path)
        self.address = self._key.address
        check_master_address(config, self.address)
        self.tor = self._make_tor()
        self.publisher = self._make_publisher()
        joining = remembered(config.state_dir)
        talk = mesh(config, None if joining is None else joining.tunnel_ip)
        self._node_key = node_key(config.node.key, config.state_dir / "node.key")
        self.coordination, self.scout = self._make_coordination(talk, joining)
        self.door = None if talk is None else self._make_door(talk)
        self.front = self._make_front()
        self.control = ControlSocket(config.control_socket, {"status": status}, reactor)

    @property
    def services(self) -> tuple[IService, ...]:
        """All parts that start and stop, in the order in which they start."""
        joiner = None if self.door is None else self.door.joiner
        parts = (self.control, self.scout, self.tor, self.front, self.publisher, self.coordination, joiner)
        return tuple(part for part in parts if part is not None)

    @property
    def instances(self) -> tuple[TorInstance, ...]:
        """Every Tor of the node."""
        return tuple(tor for tor in (self.tor, self.scout) if tor is not None)

    def outside(self) -> TorInstance | None:
        """Return the Tor to see the address with as visitors do: one that does not serve it itself, if any runs."""
        return next(
            (tor for tor in (self.scout, self.tor) if tor is not None and tor.status().phase == "serving"), None
        )

    def problems(self) -> tuple[str, ...]:
        """Return in sentences what the parts have to say."""
        return (*self.publisher.problems(), *(() if self.door is None else self.door.problems()))

    def wind_down(self) -> None:
        """What breaks from now on is not worth a word."""
        self.tor.wind_down()

    def _make_tor(self) -> ManagedTor | ExternalTor:
        config, key = self._config, self._key
        if config.tor.mode == "managed":
            return ManagedTor("primary", managed_settings(config, self._forward_to), key, self._reactor)
        settings = external_settings(config, self._forward_to)
        return ExternalTor("primary", settings, key, self._reactor, password=config.tor.control_password)

    def _make_publisher(self) -> Publisher:
        config = self._config
        store = RevisionStore(config.state_dir / "revisions.json")
        source = source_of(config.node.id)
        return Publisher(self.tor, self._key, publish_settings(config), store, self._reactor, os.urandom, source)

    def _make_coordination(self, talk: Mesh | None, joining: Joining | None) -> tuple[Coordination, TorInstance | None]:
        settings = coordination_settings(self._config, b"" if joining is None else joining.ticket.id)
        return coordination(settings, self._node_key, self.publisher, talk, self._reactor, os.urandom)

    def _make_door(self, talk: Mesh) -> Door | None:
        settings = join_settings(self._config, self.address.text)
        if settings is None:
            return None
        ring = key_ring(talk.tokens)
        door = Door(settings, ring, self._node_key, self.coordination, self._socks, self._reactor, os.urandom)
        self.coordination.outside = lambda: door.outside
        self.tor.subscribe(door)
        return door

    def _make_front(self) -> Front:
        intercept = answer_reserved if self.door is None else self.door.intercept
        return Front(proxy_settings(self._config), self._socks, self._reactor, intercept)

    def _socks(self) -> SocksAddress | None:
        serving = self.tor.status().phase == "serving"
        return socks_address(self.tor.socks) if serving else None

    def _forward_to(self) -> str:
        return self.front.address
