"""
A Tor that somebody else runs, and that is ours alone.

Owns: attaching to it and giving it our service on each connection. In: where it listens; out: ``ExternalTor``.
Its process, its configuration file and everything else of it are not ours to touch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from rustbalance.onion.keys import MasterKey
from rustbalance.secrets import Secret
from rustbalance.tor.backoff import Backoff
from rustbalance.tor.control import Patience, TorControl, connect
from rustbalance.tor.instance import BACKOFF, TorInstance
from rustbalance.tor.service_dir import prepare_service_directory
from rustbalance.tor.service_setup import ensure_service, is_in_place
from rustbalance.tor.torrc import HiddenService

#: A Unix socket, or a host and a port.
Place = Path | tuple[str, int]


@dataclass(frozen=True)
class ExternalSettings:
    """
    Where that Tor takes commands (``control``) and connections (``socks``), and the directory for its service.

    ``forward_to``: where visitors are sent, ``unix:PATH`` or ``HOST:PORT``, or a function that says so at each attempt.
    """

    control: Place
    socks: Place
    hidden_service_dir: Path
    introduction_points: int = 3
    forward_to: str | Callable[[], str] = ""


class ExternalTor(TorInstance):
    """A connection, made again when it breaks. ``password`` where that Tor wants one rather than its cookie."""

    mode: Literal["managed", "external"] = "external"

    def __init__(
        self,
        name: str,
        settings: ExternalSettings,
        key: Callable[[], MasterKey] | MasterKey,
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
        self._service: HiddenService | None = None

    async def connect(self) -> TorControl:
        """Connect and authenticate."""
        return await connect(self._endpoint(), self._reactor, self._password, self._patience)

    async def prepare(self, control: TorControl) -> None:
        """
        Make sure that Tor has our service, which its own restart makes it forget.

        :raises rustbalance.tor.service_setup.NotOurs: it hosts others.
        """
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

    async def _ensure(self, control: TorControl, service: HiddenService) -> None:
        key = self._key() if callable(self._key) else self._key
        await ensure_service(control, service, key.address, lambda: prepare_service_directory(service.directory, key))

    def _endpoint(self) -> IStreamClientEndpoint:
        place = self._settings.control
        if isinstance(place, Path):
            return UNIXClientEndpoint(self._reactor, str(place))
        return HostnameEndpoint(self._reactor, *place)
