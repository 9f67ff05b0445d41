"""
Where the daemon answers ``rustbalance status`` and its kin.

Owns: a Unix socket of mode 0600 that takes one JSON object a line, ``{"verb": "status"}``, and answers each with one
line: ``{"result": …}`` or ``{"error": "…"}``. In: verbs with a function each; out: what the functions return, as JSON.

Clients are few and trusted, but may hang: whoever sends no whole line in time, or does not read what it asked for, is
dropped, and so is one client too many.
"""

import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IListeningPort,
    IReactorTime,
    IReactorUNIX,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin
from zope.interface import implementer

from rustbalance.ops.lock import AlreadyRunning, Lock
from rustbalance.ops.verbs import NotDone, Request, Verbs, perform

#: Longest request, in bytes.
LONGEST_LINE = 4096
#: How long a client may be silent, in seconds.
PATIENCE = 10.0
MOST_CLIENTS = 16


def answer(line: bytes, verbs: Verbs, log: Logger) -> bytes:
    """Return the line that answers ``line``; whatever it is, there is an answer and no exception."""
    try:
        request = msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _error('expected one JSON object a line, like {"verb": "status"}')
    try:
        return msgspec.json.encode({"result": perform(request, verbs)})
    except NotDone as reason:
        return _error(str(reason))
    except Exception:
        log.failure("the control verb {verb} failed", verb=request.verb)
        return _error("the daemon could not answer; its log says why")


def _error(text: str) -> bytes:
    return msgspec.json.encode({"error": text})


@implementer(IHalfCloseableProtocol)
class ControlConversation(LineReceiver, TimeoutMixin):
    """
    One client.

    It is the producer of its own transport: while the client does not read, no further request is looked at.
    """

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_LINE
    log = Logger()

    def __init__(self, verbs: Verbs, reactor: IReactorTime) -> None:
        self._verbs = verbs
        self._reactor = reactor

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:  # noqa: N802
        """Let the deadline be counted by our reactor rather than the global one."""
        return self._reactor.callLater(period, func)

    @property
    def _connection(self) -> Any:
        """The transport, with the methods of a stream's."""
        return self.transport

    def connectionMade(self) -> None:
        """Begin to wait for a request."""
        self._connection.registerProducer(self, True)
        self.setTimeout(PATIENCE)

    def lineReceived(self, line: bytes) -> None:
        """Answer one request."""
        self.resetTimeout()
        self.sendLine(answer(line, self._verbs, self.log))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """Say so, and end the conversation."""
        self.sendLine(_error(f"a request has at most {LONGEST_LINE} bytes"))
        self._connection.loseConnection()

    def timeoutConnection(self) -> None:  # noqa: N802
        """Drop a client that sends nothing whole, or reads nothing."""
        self._connection.abortConnection()

    def readConnectionLost(self) -> None:
        """Let a client that closed its sending half, as a pipe into nc(1) does, have its answer before the end."""
        self._connection.loseConnection()

    def writeConnectionLost(self) -> None:
        """End as well: without a way to answer there is nothing to do."""

    def connectionLost(self, reason: Any = None) -> None:
        """Forget the deadline."""
        self.setTimeout(None)


class _Conversations(Factory):
    """Starts a conversation with each client, up to a limit."""

    noisy = False

    def __init__(self, verbs: Verbs, reactor: IReactorTime) -> None:
        self._verbs = verbs
        self._reactor = reactor
        self.open: set[ControlConversation] = set()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return the conversation, or None (which closes the connection) when there are too many."""
        if len(self.open) >= MOST_CLIENTS:
            return None
        conversation = _Counted(self._verbs, self._reactor, self.open)
        conversation.factory = self
        return conversation


class _Counted(ControlConversation):
    """A conversation that is in ``among`` as long as it lasts."""

    def __init__(self, verbs: Verbs, reactor: IReactorTime, among: set[ControlConversation]) -> None:
        super().__init__(verbs, reactor)
        self._among = among

    def connectionMade(self) -> None:
        """Join the others."""
        self._among.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Any = None) -> None:
        """Leave them."""
        self._among.discard(self)
        super().connectionLost(reason)


class ControlSocket(Service):
    """
    Listens at ``path`` while it runs.

    A lock beside the socket (``path`` with ``.lock``) tells a dead daemon's socket, which is replaced, from a live
    one's. The directory must be private (mode 0700) by then.
    """

    log = Logger()

    def __init__(self, path: Path, verbs: Verbs, reactor: Any) -> None:
        self.setName("control socket")
        self._path = path
        self._reactor: Any = reactor
        self._conversations = _Conversations(verbs, reactor)
        self._lock: Lock | None = None
        self._port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """
        Listen, as the first thing that a daemon does.

        :raises AlreadyRunning: another daemon holds the socket.
        :raises OSError: something at ``path`` is no socket, or the socket cannot be made.
        """
        super().privilegedStartService()
        self._lock = Lock(self._path.with_name(self._path.name + ".lock"))
        try:
            _remove_stale(self._path)
            self._port = _listen(self._reactor, self._path, self._conversations)
        except BaseException:
            self._unlock()
            raise

    def startService(self) -> None:
        """
        Listen, unless that is done.

        :raises OSError: as ``privilegedStartService``.
        """
        if self._port is None:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Stop listening, drop the clients, and remove the socket."""
        super().stopService()
        port, self._port = self._port, None
        stopped = maybeDeferred(port.stopListening if port is not None else lambda: None)
        for conversation in list(self._conversations.open):
            conversation.timeoutConnection()
        return stopped.addBoth(lambda result: self._clean_up(result))

    def _clean_up(self, result: Any) -> Any:
        if self._lock is not None:
            with suppress(FileNotFoundError):
                self._path.unlink()
        self._unlock()
        return result

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


def _remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that died; the lock is ours, so nobody listens there any more."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(f"{path} is in the way: it is no socket, so it is not removed")
    if _answers(path):
        raise AlreadyRunning(f"something else is listening at {path}")
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fsencode(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def _listen(reactor: IReactorUNIX, path: Path, factory: Factory) -> IListeningPort:
    """Listen so that the socket has mode 0600 from its first moment on, not only after a chmod."""
    before = os.umask(0o177)
    try:
        return reactor.listenUNIX(str(path), factory, mode=0o600)
    finally:
        os.umask(before)
