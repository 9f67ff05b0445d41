"""
A Tor that somebody else runs, and that is ours alone.

Owns: attaching to it and giving it our service on each connection. In: where it listens; out: ``ExternalTor``.
Its process, its configuration file and everything else of it are not ours to touch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from rustbalance.onion.keys import MasterKey
from rustbalance.ops.status import InstanceStatus
from rustbalance.secrets import Secret
from rustbalance.tor.backoff import Backoff
from rustbalance.tor.control import Patience, TorControl, connect
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.instance import BACKOFF, TorInstance
from rustbalance.tor.knocking import Place
from rustbalance.tor.restarting import Restarter
from rustbalance.tor.service_dir import prepare_service_directory
from rustbalance.tor.service_setup import ensure_service, is_in_place
from rustbalance.tor.torrc import HiddenService


@dataclass(frozen=True)
class ExternalSettings:
    """
    Where that Tor takes commands (``control``) and connections (``socks``), and the directory for its service.

    ``forward_to``: where visitors are sent, ``unix:PATH`` or ``HOST:PORT``, or a function that says so at each attempt.
    ``restart_command``: what restarts that Tor, the program first; empty: nothing of ours does.
    """

    control: Place
    socks: Place
    hidden_service_dir: Path
    introduction_points: int = 3
    forward_to: str | Callable[[], str] = ""
    restart_command: tuple[str, ...] = ()


class ExternalTor(TorInstance):
    """
    A connection, made again when it breaks. ``password`` where that Tor wants one rather than its cookie.

    Without a ``key`` nothing is served on it, and nothing of its configuration is touched.
    """

    mode: Literal["managed", "external"] = "external"

    def __init__(
        self,
        name: str,
        settings: ExternalSettings,
        key: Callable[[], MasterKey] | MasterKey | None,
        reactor: Any,
        backoff: Backoff = BACKOFF,
        patience: Patience = Patience(),  # noqa: B008  (frozen)
        password: Secret | None = None,
    ) -> None:
        super().__init__(name, reactor, backoff, patience)
        self.socks = settings.socks
        self._settings = settings
        self._key = key
        self._password = password
        self.serves_visitors = key is not None
        self._service: HiddenService | None = None
        self._restarter = Restarter(name, settings.restart_command, reactor)

    async def connect(self) -> TorControl:
        """Connect and authenticate."""
        return await connect(self._endpoint(), self._reactor, self._password, self._patience)

    async def prepare(self, control: TorControl) -> None:
        """
        Make sure that Tor has our service, which its own restart makes it forget.

        :raises rustbalance.tor.service_setup.NotOurs: it hosts others.
        """
        if self._key is None:
            return
        settings = self._settings
        forward_to = settings.forward_to() if callable(settings.forward_to) else settings.forward_to
        self._service = HiddenService(settings.hidden_service_dir, forward_to, settings.introduction_points)
        await self._ensure(control, self._service)

    async def look_after(self, control: TorControl) -> None:
        """
        Give Tor the service back when a reload or another controller has taken it away, which it did without a word.

        :raises rustbalance.tor.service_setup.NotOurs: it hosts others now.
        """
        if self._service is not None and not await is_in_place(control, self._service):
            self.log.warn("Tor ({name}) has lost our service, as by a reload; it is given back", name=self.name)
            await self._ensure(control, self._service)

    async def close(self) -> None:
        """
        Have that Tor restarted when that may help.

        One that hangs does not mend itself. For one that is gone somebody else may be starting it just now: it is given
        until the next attempt.
        """
        failure = self.failure
        if not self.running or failure is None or not failure.restart_helps:
            return
        if failure is TorFailure.HUNG or self._core.failures > 1:
            await self._restarter.restart()

    def status(self) -> InstanceStatus:
        """Return the instance as the status page shows it."""
        status, helpless = super().status(), None if self.serving else self._restarter.problem
        return status if helpless is None else msgspec.structs.replace(status, problem=helpless)

    async def _ensure(self, control: TorControl, service: HiddenService) -> None:
        key = self._key() if callable(self._key) else self._key
        if key is None:
            return
        await ensure_service(control, service, key.address, lambda: prepare_service_directory(service.directory, key))

    def _endpoint(self) -> IStreamClientEndpoint:
        place = self._settings.control
        if isinstance(place, Path):
            return UNIXClientEndpoint(self._reactor, str(place))
        return HostnameEndpoint(self._reactor, *place)
