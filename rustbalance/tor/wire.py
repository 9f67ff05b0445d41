"""
The control connection, line by line.

Owns: what we add to txtorcon's protocol: a password that stays in locked memory, cookies below any path, answers of
several megabytes, and events that arrive while such an answer is awaited. In: bytes; out: answers (through txtorcon's
Deferreds) and events.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from txtorcon.torcontrolprotocol import TorControlProtocol

from rustbalance.secrets import Secret
from rustbalance.tor.access import advice

_HEX = b"0123456789abcdef"


class PasswordNotSent(OSError):
    """The operating system took only a part of the password line."""


class Answer:
    """The value of one GETINFO key, collected as it arrives: one line after ``=``, or the lines of a data block."""

    def __init__(self) -> None:
        self.value = bytearray()

    def __call__(self, line: str) -> None:
        """Take one line of the reply: ``key=value``, or the closing ``OK``."""
        _, equals, value = line.partition("=")
        if equals:
            self.value += value.encode("utf-8", "surrogateescape")


class ControlWire(TorControlProtocol):
    """
    txtorcon's protocol with our additions. ``on_event`` is called with the text of each event.

    txtorcon hands the lines of a 650+ event to whatever command is being answered, and takes a data block apart with
    a state machine step a line; both matter here, since a consensus has tens of thousands of lines.
    """

    def __init__(self, password: Secret | None = None) -> None:
        super().__init__(None if password is None else lambda: password)
        self.on_event: Callable[[str], None] = _ignore
        self._block: bytearray | None = None
        self._event: list[str] = []
        self._event_block = False

    def authenticate(self, passphrase: Any) -> Deferred[str]:
        """Authenticate with a cookie (bytes, as txtorcon does) or a password, which goes straight to the socket."""
        if not isinstance(passphrase, Secret):
            return super().authenticate(passphrase)  # type: ignore[no-any-return]
        send_password(self.transport.fileno(), passphrase)
        return self.queue_command(b"")  # type: ignore[no-any-return]  # the end of the line, and the answer

    def _read_cookie(self, cookiefile: str) -> None:
        """
        Read the cookie; txtorcon takes each byte of the path that Tor wrote in octal for a character.

        :raises PermissionError: we may not; it says who may.
        """
        path = os.fsdecode(cookiefile.encode("latin-1"))
        try:
            super()._read_cookie(path)
        except PermissionError as error:
            who = advice(Path(path))
            text = f"{error.strerror}, {who}" if who else error.strerror
            raise PermissionError(error.errno, text, path) from None

    def get_info_bytes(self, key: str) -> tuple[Answer, Deferred[str]]:
        """Ask for one key; the answer is complete when the Deferred fires."""
        answer = Answer()
        return answer, self.queue_command(f"GETINFO {key}".encode(), answer)

    def lineReceived(self, line: bytes) -> None:
        """Take one line without its end."""
        if self._block is not None:
            self._take_data(line)
        elif self._event or (self.fsm.state is self.state_idle and line.startswith(b"6")):
            self._take_event(line.decode("utf-8", "surrogateescape"))
        else:
            self.fsm.process(line.decode("utf-8", "surrogateescape"))
            if line[3:4] == b"+" and self.command and isinstance(self.command[2], Answer):
                self._block = self.command[2].value

    def _take_data(self, line: bytes) -> None:
        if self._block is None or line == b".":
            self._block = None
            self.fsm.process(".")
            return
        self._block += line[1:] if line.startswith(b".") else line
        self._block += b"\n"

    def _take_event(self, line: str) -> None:
        if self._event_block:
            self._event_block = line != "."
            if self._event_block:
                self._event.append(line[1:] if line.startswith(".") else line)
            return
        self._event.append(line[4:])
        self._event_block = line[3:4] == "+"
        if line[3:4] not in ("+", "-"):
            text, self._event = "\n".join(self._event), []
            self.on_event(text)


def send_password(descriptor: int, password: Secret) -> None:
    """
    Write ``AUTHENTICATE`` and the password in hexadecimal to the socket, without the end of the line.

    Nothing else is waiting to be written: the password is sent after the answer to the only command before it.

    :raises PasswordNotSent: the socket did not take it in one piece.
    """
    with Secret(2 * len(password)) as text, password.expose() as source, text.expose() as target:
        for index, byte in enumerate(source):
            target[2 * index] = _HEX[byte >> 4]
            target[2 * index + 1] = _HEX[byte & 15]
        verb = b"AUTHENTICATE "
        if os.writev(descriptor, [verb, target]) != len(verb) + len(target):
            raise PasswordNotSent("the control connection took only a part of the password")


def _ignore(text: str) -> None:
    """Take an event that nobody has asked for."""
