"""
The Tors of a node.

Owns: which there are, and which one is for what. In: a configuration and the identity key; out: the pair that serves
the address, the scout that serves nobody, where streams go out, and with whose eyes to look at the address.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from rustbalance.config import Config
from rustbalance.onion.keys import MasterKey
from rustbalance.ops.status import SCOUT
from rustbalance.proxy.socks import SocksAddress
from rustbalance.tor.external import ExternalTor
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.knocking import Place
from rustbalance.tor.managed import ManagedTor
from rustbalance.tor.pair import TorPair
from rustbalance.tor.pairing import Side
from rustbalance.wiring import external_settings, managed_settings, place_of, scout_settings, socks_address

#: From the name of an instance to where it brings its visitors.
ForwardTo = Callable[[str], str]


class OwnTors:
    """
    Everything that ``config`` asks for, not started; ``forward_to`` is asked at each start of a Tor.

    :raises rustbalance.tor.torrc.SocketPathTooLong: the state directory lies too deep for Unix sockets.
    """

    def __init__(self, config: Config, key: MasterKey, forward_to: ForwardTo, reactor: Any) -> None:
        self._config = config
        self._key = key
        self._forward_to = forward_to
        self._reactor = reactor
        self.pair = TorPair(self._make(Side.PRIMARY), self._standby(), reactor, self._spare())
        self.scout = self._scout()

    @property
    def instances(self) -> tuple[TorInstance, ...]:
        """Every Tor of the node."""
        return (*self.pair.instances, *(() if self.scout is None else (self.scout,)))

    def outside(self) -> TorInstance | None:
        """Return the Tor to see the address with as visitors do: the scout, or one not in use, or the one in use."""
        active = self.pair.active
        others = [tor for tor in self.pair.instances if tor is not active]
        wanted = (self.scout, *others, active)
        return next((tor for tor in wanted if tor is not None and tor.serving), None)

    def socks_addresses(self) -> tuple[SocksAddress, ...]:
        """Return where streams go out: the first to be used, and then the other one."""
        return tuple(map(socks_address, self.pair.socks))

    def socks_failed(self, address: SocksAddress, reason: str) -> None:
        """A stream found no SOCKS proxy there that does its part."""
        self.pair.socks_failed(place_of(address), reason)

    def socks(self) -> SocksAddress | None:
        """Return where to go out now, None while no Tor is ready."""
        return next(iter(self.socks_addresses()), None)

    def _make(self, side: Side, *, serves: bool = True) -> TorInstance:
        """Make an instance; one that does not serve is a client only."""
        key, forward_to = self._key if serves else None, partial(self._forward_to, side.value)
        if self._config.tor.mode == "managed":
            return ManagedTor(side.value, managed_settings(self._config, side, forward_to), key, self._reactor)
        password = self._config.tor.control_password
        settings = external_settings(self._config, side, forward_to)
        return ExternalTor(side.value, settings, key, self._reactor, password=password)

    def _standby(self) -> TorInstance | None:
        tor = self._config.tor
        if tor.standby_mode == "off" or self._spare() is not None:
            return None
        return self._make(Side.STANDBY, serves=tor.standby_mode == "service")

    def _spare(self) -> Place | None:
        """Return where a standby takes streams that has no control port for us."""
        tor = self._config.tor
        if (
            tor.mode == "managed"
            or tor.standby_control_socket
            or tor.standby_control_port
            or not tor.standby_socks_port
        ):
            return None
        return tor.control_host, tor.standby_socks_port

    def _scout(self) -> TorInstance | None:
        settings = scout_settings(self._config)
        return None if settings is None else ManagedTor(SCOUT, settings, None, self._reactor)
