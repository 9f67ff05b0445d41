"""
The verbs of Tor's control port that we use.

Owns: each verb with typed arguments, a typed answer and a deadline. In: a control connection; out: values, events, or
one of the errors below. Source: control-spec sections 3 and 4.

A command that is not answered in time means that Tor hangs: the connection is given up, so that no late answer can be
taken for another, and the instance is dealt with as a whole.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from txtorcon.torcontrolprotocol import TorDisconnectError, TorProtocolError

from rustbalance.life import attentively, within
from rustbalance.onion.address import OnionAddress
from rustbalance.secrets import Secret
from rustbalance.tor.events import SUBSCRIBED, BootstrapProgress, Event, parse_bootstrap, parse_event
from rustbalance.tor.failures import ControlError, ControlLost, ControlRefused, ControlTimeout
from rustbalance.tor.replies import (
    Setting,
    hspost,
    parse_settings,
    services_on_circuits,
    setconf,
    unknown_server,
)
from rustbalance.tor.wire import ControlWire

__all__ = [
    "ControlError",
    "ControlLost",
    "ControlRefused",
    "ControlTimeout",
    "DescriptorRefused",
    "NoDirectoryKnown",
    "Patience",
    "TorControl",
    "connect",
]

CONSENSUS = "dir/status-vote/current/consensus-microdesc"
MICRODESCRIPTORS = "md/all"
PHASE = "status/bootstrap-phase"


class DescriptorRefused(ControlError):
    """Tor itself finds fault with the descriptor (554)."""


class NoDirectoryKnown(ControlError):
    """Tor knows none of the directories."""


@dataclass(frozen=True)
class Patience:
    """
    Deadlines in seconds.

    ``command`` for an ordinary answer, ``bulk`` for one of several megabytes, ``check`` between two signs of life,
    ``life`` for one of them, ``start`` for a child to open its control socket (it waits 5 by itself for a predecessor
    that is still there), ``introductions`` for one that serves to have introduction points (again).
    """

    command: float = 10.0
    bulk: float = 60.0
    check: float = 2.0
    life: float = 5.0
    start: float = 30.0
    introductions: float = 120.0


class TorControl:
    """An authenticated control connection. Every verb raises ControlTimeout, ControlLost or ControlRefused."""

    log = Logger()

    def __init__(self, wire: ControlWire, reactor: IReactorTime, patience: Patience) -> None:
        self._wire = wire
        self._reactor = reactor
        self._patience = patience
        self._listeners: list[Callable[[Event], None]] = []
        self._lost: str | None = None
        wire.on_event = self._heard
        wire.when_disconnected().addBoth(lambda _: self._gone("the control connection was closed"))

    @property
    def version(self) -> str:
        """Tor's version, as it gives it."""
        return str(self._wire.version)

    @property
    def disconnected(self) -> Deferred[str]:
        """A new Deferred that fires with the reason when the connection is gone."""
        gone: Deferred[str] = Deferred()
        self._wire.when_disconnected().addBoth(lambda _: gone.callback(self._lost or "it was closed"))
        return gone

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``listener`` with each event that ``rustbalance.tor.events`` knows, until what is returned is called."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def abandon(self, reason: str) -> None:
        """Break the connection off at once."""
        self._gone(reason)
        self._wire.transport.abortConnection()

    async def ask(self, command: str | bytes) -> str:
        """Send any command and return what Tor answers, without the final OK."""
        self._must_be_connected()
        line = command.encode() if isinstance(command, str) else command
        verb = line.split(b" ", 1)[0].decode()
        return await self._answered(verb, self._wire.queue_command(line), self._patience.command)

    async def listen(self) -> None:
        """Ask Tor for the events."""
        await self.ask(f"SETEVENTS {' '.join(SUBSCRIBED)}")

    async def get_info(self, key: str) -> str:
        """Return the value of ``key``, a data block with its line ends."""
        return (await self.get_info_lines(key, self._patience.command)).decode("utf-8", "replace")

    async def get_info_lines(self, key: str, seconds: float | None = None) -> bytes:
        """Return a value of any size; it is put together as it arrives, so that nothing else has to wait."""
        self._must_be_connected()
        answer, done = self._wire.get_info_bytes(key)
        await self._answered("GETINFO", done, seconds or self._patience.bulk)
        return bytes(answer.value)

    async def get_conf(self, key: str) -> tuple[Setting, ...]:
        """Return the options that ``key`` stands for, in Tor's order."""
        return parse_settings(await self.ask(f"GETCONF {key}"))

    async def set_conf(self, settings: Iterable[tuple[str, str]]) -> None:
        """Set all ``settings`` in one command, all or none."""
        await self.ask(setconf(settings))

    async def reset_conf(self, key: str) -> None:
        """Give ``key`` its default back."""
        await self.ask(f"RESETCONF {key}")

    async def signal(self, name: str) -> None:
        """Send a signal such as NEWNYM (control-spec 3.7)."""
        await self.ask(f"SIGNAL {name}")

    async def take_ownership(self) -> None:
        """Make Tor exit when this connection closes."""
        await self.ask("TAKEOWNERSHIP")

    async def bootstrap(self) -> BootstrapProgress:
        """Return how far Tor is, which is a sign of life too: it has its own deadline."""
        return parse_bootstrap((await self.get_info_lines(PHASE, self._patience.life)).decode("utf-8", "replace"))

    async def consensus(self) -> bytes:
        """Return the microdescriptor consensus, 2 to 3 MB on the public network."""
        return await self.get_info_lines(CONSENSUS)

    async def microdescriptors(self) -> bytes:
        """Return every microdescriptor that Tor has, several megabytes on the public network."""
        return await self.get_info_lines(MICRODESCRIPTORS)

    async def own_descriptor(self, address: OnionAddress) -> bytes | None:
        """
        Return the current descriptor of the service that this Tor runs, or None when there is none yet.

        It is the one for the first of the two time periods, with the introduction points of this moment.
        """
        try:
            return await self.get_info_lines(f"hs/service/desc/id/{address.label}") or None
        except ControlRefused:
            return None

    async def service_addresses(self) -> frozenset[OnionAddress]:
        """Return the onion services that this Tor seems to host beside those in its configuration."""
        added = " ".join([await self.get_info("onions/current"), await self.get_info("onions/detached")])
        named = frozenset(OnionAddress.parse(label) for label in added.split())
        return named | services_on_circuits(await self.get_info("circuit-status"))

    async def post_descriptor(self, text: bytes, address: OnionAddress, directories: Sequence[str]) -> tuple[str, ...]:
        """
        Have ``text`` uploaded to each of ``directories`` (fingerprints); return those that Tor does not know.

        Tor refuses a whole list for one unknown relay, so it is asked again without that one. That it agrees says
        nothing about the uploads: wait for DescriptorUploaded with a deadline, an unreachable directory is silent.

        :raises DescriptorRefused: Tor finds the descriptor faulty. :raises NoDirectoryKnown: no relay is left.
        """
        left, unknown = list(directories), []
        while left:
            try:
                await self.ask(hspost(text, address, left))
            except ControlRefused as refusal:
                unknown.append(self._without_unknown(left, refusal))
            else:
                return tuple(unknown)
        raise NoDirectoryKnown(f"Tor knows none of the {len(directories)} directories")

    def _without_unknown(self, left: list[str], refusal: ControlRefused) -> str:
        if refusal.code == 554:
            raise DescriptorRefused("Tor finds the descriptor faulty") from None
        unknown = unknown_server(str(refusal))
        if refusal.code != 552 or unknown not in left:
            raise refusal
        left.remove(unknown)
        return unknown

    async def _answered(self, verb: str, answer: Deferred[str], seconds: float) -> str:
        try:
            return await attentively(seconds, self._reactor, answer)
        except TimeoutError:
            reason = f"Tor did not answer {verb} within {seconds:g} s"
            self.abandon(reason)
            raise ControlTimeout(reason) from None
        except TorProtocolError as error:
            raise ControlRefused(error.code, f"Tor refused {verb}: {error.text}") from None
        except TorDisconnectError:
            raise ControlLost(self._lost or "the control connection was closed") from None

    def _must_be_connected(self) -> None:
        if self._lost is not None:
            raise ControlLost(self._lost)

    def _gone(self, reason: str) -> None:
        self._lost = self._lost or reason

    def _heard(self, text: str) -> None:
        event = parse_event(text)
        if event is None:
            return
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception:
                self.log.failure("a listener failed on {event}", event=type(event).__name__)


async def connect(
    endpoint: IStreamClientEndpoint,
    reactor: IReactorTime,
    password: Secret | None = None,
    patience: Patience | None = None,
) -> TorControl:
    """
    Connect and authenticate as PROTOCOLINFO says: cookie (SAFECOOKIE when offered), else password, else nothing.

    :raises ControlLost: nobody listens there. :raises ControlTimeout: no answer.
    :raises ControlRefused: Tor wants another cookie or password, or one that we do not have.
    """
    patience = patience or Patience()
    wire = ControlWire(password)
    try:
        connecting = endpoint.connect(Factory.forProtocol(lambda: wire))
        await connecting.addTimeout(patience.command, reactor, _too_late)
    except (CancelledError, ConnectingCancelledError):
        raise CancelledError from None
    except Exception as error:
        raise ControlLost(f"no control connection: {error}") from None
    await _authenticated(wire, reactor, patience.command)
    return TorControl(wire, reactor, patience)


def _too_late(result: object, seconds: float) -> NoReturn:
    """Raise what ``addTimeout`` raises for other Deferreds: endpoints have an error of their own for cancellation."""
    raise TimeoutError(f"no answer within {seconds:g} s")


async def _authenticated(wire: ControlWire, reactor: IReactorTime, seconds: float) -> None:
    try:
        await within(seconds, reactor, wire.post_bootstrap)
    except BaseException as error:
        wire.transport.abortConnection()
        raise _refusal(error, seconds) from None


def _refusal(error: BaseException, seconds: float) -> BaseException:
    match error:
        case TimeoutError():
            return ControlTimeout(f"Tor did not answer within {seconds:g} s while we authenticated")
        case TorProtocolError():
            return ControlRefused(error.code, f"Tor refused our authentication: {error.text}")
        case TorDisconnectError():
            return ControlLost("Tor closed the connection while we authenticated")
        case RuntimeError() | OSError():  # txtorcon's own; what follows a semicolon may be a hash of the cookie
            return ControlRefused(515, str(error).partition(";")[0].strip())
    return error
