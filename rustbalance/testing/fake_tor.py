"""
A Tor in memory, for the real txtorcon client.

Owns: the part of the control protocol (control-spec) that we use, answered as tor 0.4.9 answers it, including its
oddities. In: command lines; out: replies, and a record of what was asked. One ``FakeTor`` may have many connections;
``connection()`` makes the server side of one, for an in-memory pipe or for a real socket.
``tests/live/test_control.py`` runs the same expectations against a real tor.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.test import iosim

from rustbalance.testing.fake_descriptors import DescriptorVerbs
from rustbalance.testing.tor_values import Posted, escaped, settings, shown

VERSION = "0.4.9.11"
_NONCE = bytes(32)


@dataclass
class FakeTor:
    """
    What this Tor knows and how it behaves; tests read and write the fields.

    ``password`` and ``cookie`` (a file that holds 32 bytes) switch those kinds of authentication on.
    ``info`` holds GETINFO values; bytes are sent as data blocks. ``hung``: nothing is answered any more.
    ``fetches``: address and directory of each HSFETCH; what comes of it is the test's to ``emit``.
    """

    password: str | None = None
    cookie: Path | None = None
    safe_cookie: bool = True
    relays: set[str] = field(default_factory=set)
    info: dict[str, str | bytes] = field(default_factory=dict)
    options: list[tuple[str, str]] = field(default_factory=list)
    publishing: str = "1"
    hung: bool = False
    owned: bool = False
    posted: list[Posted] = field(default_factory=list)
    fetches: list[tuple[str, str]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    connections: list["FakeControlConnection"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.info = {
            "version": VERSION,
            "signal/names": "RELOAD NEWNYM HEARTBEAT",
            "events/names": "CIRC CIRC_MINOR STREAM CONF_CHANGED HS_DESC STATUS_CLIENT",
            "onions/current": "",
            "onions/detached": "",
            "circuit-status": "",
            "md/all": "",
            **self.info,
        }
        if "status/bootstrap-phase" not in self.info:
            self.bootstrap(100, "done", "Done")

    def bootstrap(self, percent: int, tag: str, summary: str) -> None:
        """Move the bootstrap on and tell everybody."""
        text = f'NOTICE BOOTSTRAP PROGRESS={percent} TAG={tag} SUMMARY="{summary}"'
        self.info["status/bootstrap-phase"] = text
        self.emit(f"STATUS_CLIENT {text}")

    def emit(self, text: str) -> None:
        """Send an event, of one line or several, to each connection that has asked for its kind."""
        for connection in list(self.connections):
            if text.split(maxsplit=1)[0] in connection.events:
                connection.send_event(text)

    def reload(self) -> None:
        """Forget what was set through a control port, as at SIGHUP, and say so."""
        self.options, self.publishing = [], "1"
        self.changed([("HiddenServiceOptions", ""), ("PublishHidServDescriptors", "1")])

    def changed(self, settings: list[tuple[str, str]]) -> None:
        """Tell whoever wants to know that these options have changed."""
        lines = [f"{key}={shown(value)}" if value else key for key, value in settings]
        self.emit("\n".join(["CONF_CHANGED", *lines]))

    def connection(self) -> "FakeControlConnection":
        """Return the server side of a new connection."""
        return FakeControlConnection(self)

    def factory(self) -> Factory:
        """Return a factory of server sides, to listen with."""
        return Factory.forProtocol(self.connection)

    def join(self, client: IProtocol) -> iosim.IOPump:
        """Connect ``client`` in memory and return the pump that moves the bytes."""
        server = self.connection()
        pump: iosim.IOPump = iosim.connect(server, iosim.makeFakeServer(server), client, iosim.makeFakeClient(client))
        return pump

    def drop(self) -> None:
        """Close all connections, as a Tor that goes away does."""
        for connection in list(self.connections):
            connection.hang_up()

    def services(self) -> tuple[tuple[str, str], ...]:
        """Return the HiddenService options in force."""
        return tuple(self.options)


class FakeControlConnection(DescriptorVerbs, LineReceiver):
    """One connection to a ``FakeTor``."""

    tor: FakeTor

    def __init__(self, tor: FakeTor) -> None:
        self.tor = tor
        self.events: set[str] = set()
        self.authenticated = False
        self._challenge = b""
        self._command: str | None = None
        self._body: list[bytes] = []

    def connectionMade(self) -> None:
        """Join the others."""
        self.tor.connections.append(self)

    def connectionLost(self, reason: object = None) -> None:
        """Leave."""
        if self in self.tor.connections:
            self.tor.connections.remove(self)

    def hang_up(self) -> None:
        """Close from Tor's side."""
        if self.transport is not None:
            self.transport.loseConnection()

    def send_event(self, text: str) -> None:
        """Send one asynchronous reply; one of several lines is followed by OK, a fetched descriptor is a data block."""
        head, _, block = text.partition("\n")
        if head.startswith("HS_DESC_CONTENT "):
            self.sendLine(b"650+" + head.encode())
            self._send_block(block.encode())
            self.sendLine(b"650 OK")
            return
        *lines, last = [*text.split("\n"), "OK"] if "\n" in text else [text]
        for line in lines:
            self.sendLine(b"650-" + line.encode())
        self.sendLine(b"650 " + last.encode())

    def lineReceived(self, line: bytes) -> None:
        """Take a command, or a line of the data that follows one."""
        if self.tor.hung:
            return
        if self._command is not None:
            self._take_data(line)
        elif line.startswith(b"+"):
            self._command = line[1:].decode()
        else:
            self._perform(line.decode(), b"")

    def _take_data(self, line: bytes) -> None:
        if line == b".":
            command, self._command = self._command or "", None
            body, self._body = b"\n".join(self._body) + b"\n", []
            self._perform(command, body)
            return
        self._body.append(line[1:] if line.startswith(b".") else line)

    def _perform(self, command: str, body: bytes) -> None:
        verb, _, rest = command.partition(" ")
        self.tor.heard.append(verb if verb == "AUTHENTICATE" else command)
        if not self.authenticated and verb not in ("PROTOCOLINFO", "AUTHENTICATE", "AUTHCHALLENGE"):
            self.sendLine(b"514 Authentication required.")
            self.hang_up()
            return
        answer: Callable[[str, bytes], Iterator[str]] | None = getattr(self, f"_answer_{verb.lower()}", None)
        for line in answer(rest, body) if answer else [f'510 Unrecognized command "{verb}"']:
            self.sendLine(line.encode())

    def _answer_protocolinfo(self, rest: str, body: bytes) -> Iterator[str]:
        yield "250-PROTOCOLINFO 1"
        methods = ["HASHEDPASSWORD"] if self.tor.password is not None else []
        if self.tor.cookie is not None:
            methods += ["COOKIE", "SAFECOOKIE"] if self.tor.safe_cookie else ["COOKIE"]
        cookie = f' COOKIEFILE="{escaped(str(self.tor.cookie))}"' if self.tor.cookie is not None else ""
        yield f"250-AUTH METHODS={','.join(methods or ['NULL'])}{cookie}"
        yield f'250-VERSION Tor="{VERSION}"'
        yield "250 OK"

    def _answer_authchallenge(self, rest: str, body: bytes) -> Iterator[str]:
        nonce = bytes.fromhex(rest.split()[1])
        self._challenge = nonce + _NONCE
        server = self._hash(b"Tor safe cookie authentication server-to-controller hash")
        yield f"250 AUTHCHALLENGE SERVERHASH={server.hex().upper()} SERVERNONCE={_NONCE.hex().upper()}"

    def _answer_authenticate(self, rest: str, body: bytes) -> Iterator[str]:
        if self._is_right(bytes.fromhex(rest)):
            self.authenticated = True
            yield "250 OK"
            return
        yield "515 Authentication failed: Wrong password or cookie"
        self.hang_up()

    def _is_right(self, token: bytes) -> bool:
        if self.tor.password is None and self.tor.cookie is None:
            return True
        if self.tor.password is not None and token == self.tor.password.encode():
            return True
        if self.tor.cookie is None:
            return False
        expected = self._hash(b"Tor safe cookie authentication controller-to-server hash")
        return token == (expected if self._challenge else self.tor.cookie.read_bytes())

    def _hash(self, constant: bytes) -> bytes:
        cookie = self.tor.cookie.read_bytes() if self.tor.cookie else b""
        return hmac.new(constant, cookie + self._challenge, hashlib.sha256).digest()

    def _answer_usefeature(self, rest: str, body: bytes) -> Iterator[str]:
        yield "250 OK"

    _answer_signal = _answer_usefeature

    def _answer_takeownership(self, rest: str, body: bytes) -> Iterator[str]:
        self.tor.owned = True
        yield "250 OK"

    def _answer_setevents(self, rest: str, body: bytes) -> Iterator[str]:
        self.events = set(rest.split())
        yield "250 OK"

    def _answer_getinfo(self, rest: str, body: bytes) -> Iterator[str]:
        value = self.tor.info.get(rest)
        if value is None:
            missing = "551 Not found in cache" if rest.startswith("hs/") else f'552 Unrecognized key "{rest}"'
            yield missing
            return
        if isinstance(value, str):
            yield f"250-{rest}={value}"
        else:
            self.sendLine(f"250+{rest}=".encode())
            self._send_block(value)
        yield "250 OK"

    def _answer_getconf(self, rest: str, body: bytes) -> Iterator[str]:
        known = {
            "HiddenServiceOptions": self.tor.options,
            "PublishHidServDescriptors": [("PublishHidServDescriptors", self.tor.publishing)],
        }
        if rest not in known:
            yield f'552 Unrecognized configuration key "{rest}"'
            return
        lines = [f"{key}={shown(value)}" for key, value in known[rest]] or [rest]
        yield from (f"250-{line}" for line in lines[:-1])
        yield f"250 {lines[-1]}"

    def _answer_setconf(self, rest: str, body: bytes) -> Iterator[str]:
        pairs = settings(rest)
        services = [(key, value) for key, value in pairs if key.startswith("HiddenService")]
        instance = ("HiddenServiceOnionBalanceInstance", "1") in services
        for key, value in services:
            if instance and key == "HiddenServiceDir" and not (Path(value) / "ob_config").exists():
                yield "513 Unacceptable option value: Failed to configure rendezvous options. See logs for details."
                return
        if services:
            self.tor.options = services
        self.tor.publishing = dict(pairs).get("PublishHidServDescriptors", self.tor.publishing)
        yield "250 OK"
        self.tor.changed(pairs)

    def _answer_resetconf(self, rest: str, body: bytes) -> Iterator[str]:
        if rest == "HiddenServiceDir":
            self.tor.options = []
        yield "250 OK"
        self.tor.changed([("HiddenServiceOptions", "")])

    def _send_block(self, block: bytes) -> None:
        for line in block.splitlines():
            self.sendLine(b"." + line if line.startswith(b".") else line)
        self.sendLine(b".")
