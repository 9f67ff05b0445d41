"""
Putting the canary together: the page and the visits to it, which know each other by the same keys.

Owns: which parts there are, and the keys. In: settings, the cluster's tokens, the node's Tors; out: ``Lookout``.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.logger import Logger

from rustbalance.coordination.making import Tokens, key_ring
from rustbalance.health.canary import Canary, CanarySettings, Surroundings, Way
from rustbalance.health.canary_page import CanaryPage
from rustbalance.health.lookup import chosen, look_up
from rustbalance.health.proof import SIZE, token_key, visit_keys
from rustbalance.health.repair import Failure
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment
from rustbalance.onion.address import OnionAddress
from rustbalance.ops.directories import DirectoryReport
from rustbalance.ops.status import SCOUT, NodeStatus
from rustbalance.proxy.pages import Intercept
from rustbalance.proxy.resources import ResourceIntercept
from rustbalance.proxy.socks import SocksAddress
from rustbalance.secrets import Secret
from rustbalance.tor.failures import ControlError
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.replies import standing_introductions

FRESH: Final = "NEWNYM"
"""The signal at which Tor forgets what it has learned about onion services (control-spec section 3.7)."""

Report = Callable[[Failure, str], object]


@dataclass(frozen=True)
class LookoutSettings:
    """The visits, and the token of who may read the details, which stays the caller's."""

    visits: CanarySettings
    token: Secret | None = None


@dataclass(frozen=True)
class Tors:
    """
    ``outside``: the Tor to see the address with as visitors do; ``all``: every Tor of the node.

    ``directories``: of the descriptor that visitors fetch now, and of the other one.
    """

    outside: Callable[[], TorInstance | None]
    all: Callable[[], Sequence[TorInstance]]
    directories: Callable[[], tuple[Sequence[str], Sequence[str]]] = lambda: ((), ())


class Lookout:
    """
    ``canary`` is a service, to be started after the Tors; ``intercept`` makes what the front needs.

    ``directories`` asks what they hold; ``failing`` and ``mended`` take what the visits find out, see ``Surroundings``.

    :raises rustbalance.cluster.keys.InvalidToken: a cluster token is too short.
    """

    log = Logger()

    def __init__(
        self,
        settings: LookoutSettings,
        tokens: Tokens | None,
        tors: Tors,
        node: Callable[[], NodeStatus],
        directories: Callable[[], Coroutine[Any, Any, DirectoryReport]],
        failing: Report,
        mended: Report,
        reactor: Any,
        random_bytes: Callable[[int], bytes],
        clocks: Callable[[], Moment] = read_clocks,
    ) -> None:
        self._settings = settings
        self._tors = tors
        self._node = node
        self._now = clocks
        self._reactor = reactor
        self._random_bytes = random_bytes
        self._ring = None if tokens is None else key_ring(tokens)
        self._lone = Secret.random(SIZE) if settings.token is None else token_key(settings.token)
        around = Surroundings(self._way, self._keys, node, self._standing, directories, failing, mended)
        self.canary = Canary(settings.visits, around, reactor, random_bytes, clocks)

    def intercept(self, instance: str, otherwise: Intercept) -> Intercept:
        """Return what answers visits that come through the Tor ``instance``, and leaves the rest to ``otherwise``."""
        page = CanaryPage(instance, self._settings.token, self._keys, self._node, lambda: self._now().wall)
        return ResourceIntercept(self._settings.visits.route.path.encode("ascii"), page, otherwise)

    def _keys(self) -> tuple[Secret, ...]:
        return visit_keys(self._ring, self._lone, self._now().wall)

    def _way(self) -> Way | None:
        """Only the scout is made to forget: another Tor has visitors, or streams to the target, and looks up anew."""
        tor = self._tors.outside()
        if tor is None:
            return None
        renew = _forget(tor) if tor.name == SCOUT else self._look_up(tor)
        return Way(str(tor.name), _address(tor), renew)

    def _look_up(self, tor: TorInstance) -> Callable[[], Awaitable[object]] | None:
        control = tor.control
        directories = chosen(*self._tors.directories(), self._random_bytes)
        if control is None or not directories:
            return None
        route = self._settings.visits.route
        return lambda: look_up(control, OnionAddress.parse(route.host), directories, self._reactor, route.patience)

    async def _standing(self) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for tor in self._tors.all():
            if tor.serves_visitors and tor.control is not None and tor.status().phase == "serving":
                try:
                    found[str(tor.name)] = standing_introductions(await tor.control.get_info("circuit-status"))
                except ControlError as error:
                    self.log.debug("Tor ({name}) does not tell its circuits: {error}", name=tor.name, error=error)
        return found


def _forget(tor: TorInstance) -> Callable[[], Awaitable[object]] | None:
    control = tor.control
    return None if control is None else lambda: control.signal(FRESH)


def _address(tor: TorInstance) -> SocksAddress:
    place = tor.socks
    return SocksAddress(host=place[0], port=place[1]) if isinstance(place, tuple) else SocksAddress(path=str(place))
