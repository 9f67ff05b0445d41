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

from rustbalance.onion.address import OnionAddress
from rustbalance.onion.keys import MasterKey
from rustbalance.ops.status import InstanceStatus
from rustbalance.secrets import Secret
from rustbalance.tor.access import advice
from rustbalance.tor.backoff import Backoff
from rustbalance.tor.control import ControlLost, ControlRefused, Patience, TorControl, connect
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.instance import BACKOFF, TorInstance
from rustbalance.tor.knocking import Place
from rustbalance.tor.restarting import Restarter
from rustbalance.tor.service_dir import is_ours, prepare_service_directory
from rustbalance.tor.service_setup import PLACE_KEY, NotPlaced, confirm_address, ensure_service, is_in_place
from rustbalance.tor.torrc import HiddenService

TO_A_PORT = "set local_port in place of listen"


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
        self._unconfirmed: OnionAddress | None = None
        self.restartable = bool(settings.restart_command)
        self._restarter = Restarter(name, settings.restart_command, reactor)

    async def connect(self) -> TorControl:
        """
        Connect and authenticate.

        :raises rustbalance.tor.control.ControlError: it cannot be; where a group is missing, it is named.
        """
        try:
            return await connect(self._endpoint(), self._reactor, self._password, self._patience)
        except ControlLost as error:
            place = self._settings.control
            who = advice(place) if isinstance(place, Path) else None
            raise ControlLost(f"{error} {place}: {who}") if who else error from None

    async def prepare(self, control: TorControl) -> None:
        """
        Make sure that Tor has our service, which its own restart makes it forget.

        :raises rustbalance.tor.service_setup.NotOurs: it hosts others.
        :raises rustbalance.tor.service_setup.NotPlaced: it runs as another user, and has not got what it needs.
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
        :raises rustbalance.tor.service_setup.WrongKey: the directory that it was given holds the key of others.
        """
        service = self._service
        if service is None:
            return
        if not await is_in_place(control, service):
            self.log.warn(
                "Tor ({name}) has lost our service, as by a reload; it is given back (in its torrc it would stay)",
                name=self.name,
            )
            await self._ensure(control, service)
        if self._unconfirmed is not None and await confirm_address(control, service, self._unconfirmed):
            self._unconfirmed = None

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
        ours = is_ours(service.directory)
        self._unconfirmed = None if ours else key.address
        if not ours and service.forward_to.startswith("unix:"):
            raise NotPlaced(f"this Tor runs as another user, who cannot come in at {service.forward_to}: {TO_A_PORT}")
        try:
            await ensure_service(control, service, key.address, lambda: self._fill(service.directory, key, ours))
        except ControlRefused as refusal:
            raise NotPlaced(
                f"this Tor does not take our service from {service.directory} ({refusal}): it has to be a directory of "
                f"that Tor's own user, below its DataDirectory, with the key in it; run as root: {PLACE_KEY}"
            ) from None

    def _fill(self, directory: Path, key: MasterKey, ours: bool) -> None:
        """Write what Tor reads where we may; elsewhere it has been placed, or Tor is going to refuse it."""
        if ours:
            prepare_service_directory(directory, key)

    def _endpoint(self) -> IStreamClientEndpoint:
        place = self._settings.control
        if isinstance(place, Path):
            return UNIXClientEndpoint(self._reactor, str(place))
        return HostnameEndpoint(self._reactor, *place)
