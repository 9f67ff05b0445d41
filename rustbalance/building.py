"""
The parts of a node.

Owns: making them from the configuration, who is told of whom, and the order in which they start. In: a configuration
with its secrets; out: ``Parts``, services that have not been started.
"""

import os
from collections.abc import Callable
from typing import Any

from twisted.application.service import IService

from rustbalance.config import Config, check_master_address
from rustbalance.coordination.making import Mesh, coordination, key_ring
from rustbalance.coordination.node_key import node_key
from rustbalance.coordination.service import Coordination
from rustbalance.health.canary import Canary
from rustbalance.health.keeping import Care, repairer
from rustbalance.health.making import Lookout, Tors
from rustbalance.health.repair import Failure
from rustbalance.joining.making import Door, remembered
from rustbalance.joining.records import Joining
from rustbalance.key_files import load_master_key
from rustbalance.ops.control_socket import ControlSocket
from rustbalance.ops.draining import Draining
from rustbalance.ops.status import NodeStatus
from rustbalance.ops.verbs import Verbs
from rustbalance.proxy.front import Front
from rustbalance.proxy.listening import Entrance
from rustbalance.proxy.pages import Intercept, answer_reserved
from rustbalance.publishing.counters import RevisionStore
from rustbalance.publishing.publisher import Publisher
from rustbalance.publishing.verifier import Verifier
from rustbalance.tor.pairing import Side
from rustbalance.tors import OwnTors
from rustbalance.wiring import (
    care_settings,
    coordination_settings,
    join_settings,
    lookout_settings,
    mesh,
    proxy_settings,
    publish_settings,
    standby_entrance,
    verify_settings,
)

DIRECTORIES = "directories"
"""Under this name what checks of the directories find is repaired; what visits find has another."""


class Parts:
    """
    Everything of one node. ``status`` is what the control socket answers to the verb of that name.

    :raises Exception: what is in ``rustbalance.node.EXPECTED`` can be mended by the operator.
    """

    def __init__(self, config: Config, status: Callable[[], NodeStatus], reactor: Any) -> None:
        self._config = config
        self._reactor = reactor
        self._key = load_master_key(config.master.identity_key_path)
        self.address = self._key.address
        check_master_address(config, self.address)
        self.tors = OwnTors(config, self._key, self._forward_to, reactor)
        self.publisher = self._make_publisher()
        self._node_key = node_key(config.node.key, config.state_dir / "node.key")
        joining = remembered(config.state_dir, self._node_key.public)
        talk = mesh(config, None if joining is None else joining.tunnel_ip)
        self.coordination = self._make_coordination(talk, joining)
        self.door = None if talk is None else self._make_door(talk)
        self.repairs = repairer(self.tors.instances, self.coordination, self.publisher)
        self.lookout = self._make_lookout(talk, status)
        self.front = self._make_front()
        self.care = self._make_care(status)
        self.verifier = self._make_verifier()
        self.control = ControlSocket(config.control_socket, self._verbs(status), reactor)

    @property
    def services(self) -> tuple[IService, ...]:
        """All parts that start and stop, in the order in which they start."""
        joiner = None if self.door is None else self.door.joiner
        parts = (
            self.control,
            self.tors.scout,
            self.tors.pair,
            self.front,
            self.publisher,
            self.coordination,
            joiner,
            self.verifier,
            self.canary,
            *self.care.services,
        )
        return tuple(part for part in parts if part is not None)

    @property
    def canary(self) -> Canary | None:
        """What visits our own address, None where that is off."""
        return None if self.lookout is None else self.lookout.canary

    def problems(self) -> tuple[str, ...]:
        """Return in sentences what the parts have to say."""
        others = (part for part in (self.door, self.verifier, self.canary, self.care.watch) if part is not None)
        return (*self.publisher.problems(), *(problem for part in others for problem in part.problems()))

    @property
    def drained(self) -> bool:
        """Whether the operator has taken the node out of service."""
        return self.coordination.fitness.drained

    def drain(self, drained: bool) -> Draining:
        """Take the node out of service, or put it back."""
        self.coordination.fitness.drain(drained)
        cluster, active = self.coordination.status(), self.front.status().connections_active
        others = () if cluster is None else cluster.serving_others
        return Draining(drained=drained, others=others, connections=active)

    def wind_down(self) -> None:
        """What breaks from now on is not worth a word."""
        self.tors.pair.wind_down()

    def _make_publisher(self) -> Publisher:
        config = self._config
        store = RevisionStore(config.state_dir / "revisions.json")
        settings, name = publish_settings(config), config.node.id
        return Publisher(self.tors.pair, self._key, settings, store, self._reactor, os.urandom, name)

    def _make_verifier(self) -> Verifier:
        settings, outlook = verify_settings(self._config), self.publisher.outlook
        return Verifier(
            outlook,
            self.address,
            self.tors.outside,
            settings,
            self._reactor,
            stale=self._stale,
            nowhere=self._gets_nowhere,
        )

    def _stale(self, stale: bool) -> None:
        """Tell what deals with failures whether directories lack what they have been sent again and again."""
        tell = self.repairs.report if stale else self.repairs.recovered
        tell(Failure.DESCRIPTOR_STALE, DIRECTORIES)

    def _gets_nowhere(self, tor: str, nowhere: bool) -> None:
        """Tell what deals with failures of a Tor through which no directory is heard, or that it is heard again."""
        tell = self.repairs.report if nowhere else self.repairs.recovered
        tell(Failure.NO_WAY_OUT, tor)

    def _verbs(self, status: Callable[[], NodeStatus]) -> Verbs:
        """Return what the control socket answers."""
        return {
            "status": status,
            "verify": self.verifier.check,
            "verification": self.verifier.report,
            "drain": lambda: self.drain(True),
            "undrain": lambda: self.drain(False),
            "forget": self.coordination.forget,
        }

    def _make_coordination(self, talk: Mesh | None, joining: Joining | None) -> Coordination:
        came_with = () if joining is None else (joining.ticket.public_key, joining.binding)
        settings = coordination_settings(self._config, *came_with)
        scout, publisher = self.tors.scout, self.publisher
        return coordination(settings, self._node_key, publisher, talk, self._reactor, os.urandom, scout=scout)

    def _make_door(self, talk: Mesh) -> Door | None:
        settings = join_settings(self._config, self.address.text)
        if settings is None:
            return None
        ring = key_ring(talk.tokens)
        door = Door(settings, ring, self._node_key, self.coordination, self.tors.socks, self._reactor, os.urandom)
        self.coordination.outside = lambda: door.outside
        for tor in self.tors.pair.instances:
            tor.subscribe(door)
        return door

    def _make_front(self) -> Front:
        standby, intercept = Side.STANDBY.value, self._intercept(Side.PRIMARY.value)
        others = {standby: Entrance(standby_entrance(self._config), self._intercept(standby))} if self.lookout else {}
        front = Front(proxy_settings(self._config), self.tors, self._reactor, intercept, others)
        self.tors.pair.subscribe(lambda _: front.renew())
        return front

    def _intercept(self, instance: str) -> Intercept:
        """Return what sees the requests first that come through the Tor ``instance``."""
        intercept = answer_reserved if self.door is None else self.door.intercept
        return intercept if self.lookout is None else self.lookout.intercept(instance, intercept)

    def _make_lookout(self, talk: Mesh | None, status: Callable[[], NodeStatus]) -> Lookout | None:
        settings = lookout_settings(self._config, self.address.text)
        if settings is None:
            return None
        tokens = None if talk is None else talk.tokens
        tors = Tors(self.tors.outside, lambda: self.tors.instances, self.publisher.outlook.directories)
        failing, mended = self.repairs.report, self.repairs.recovered
        return Lookout(
            settings, tokens, tors, status, lambda: self.verifier.look(), failing, mended, self._reactor, os.urandom
        )

    def _make_care(self, status: Callable[[], NodeStatus]) -> Care:
        settings = care_settings(self._config, self.address.text)
        care = Care(settings, self.front, self.coordination, self.publisher, self.repairs, status, self._reactor)
        for tor in self.tors.instances:
            tor.subscribe(care.watch)
        return care

    def _forward_to(self, instance: str) -> str:
        return self.front.address_of(instance)
