"""
Asking the running daemon.

Owns: the client's half of the control socket. In: a path, a verb and the type of its answer; out: the answer, within a
deadline. It blocks, imports no Twisted and starts fast: it serves commands that people wait for.
"""

import os
import socket
import time
from pathlib import Path
from typing import Any, TypeVar

import msgspec

#: Longest answer that is read, in bytes.
LONGEST_ANSWER = 4 * 1024 * 1024

Answer = TypeVar("Answer", bound=msgspec.Struct)


class NoDaemon(Exception):
    """Nobody listens at the control socket; the message says what to do."""


class NoAnswer(Exception):
    """The daemon did not answer in time, or not in a way that we understand, or with an error."""


def ask(path: Path, verb: str, kind: type[Answer], seconds: float = 5.0, node: str | None = None) -> Answer:
    """
    Send ``verb`` to the daemon whose control socket is ``path`` and return its answer.

    :param seconds: the deadline for all of it.
    :param node: the node that the verb is about.
    :raises NoDaemon: there is no daemon, or this user may not talk to it.
    :raises NoAnswer: it is late, or its answer is an error or no ``kind``.
    """
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        _connect(connection, path, seconds)
        try:
            request = {"verb": verb} if node is None else {"verb": verb, "node": node}
            connection.sendall(msgspec.json.encode(request) + b"\n")
            line = _read_line(connection, deadline)
        except TimeoutError:
            raise NoAnswer(f"the daemon did not answer within {seconds:g} seconds; its log may say why") from None
        except OSError as error:
            raise NoAnswer(f"the daemon ended the conversation ({error.strerror}); try again") from None
    return _decode(line, kind)


def _connect(connection: socket.socket, path: Path, seconds: float) -> None:
    connection.settimeout(seconds)
    try:
        connection.connect(os.fsencode(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NoDaemon(f"no daemon answers at {path}; start one with: rustbalance run --config FILE") from None
    except PermissionError:
        raise NoDaemon(f"no permission for {path}; run this as the user that runs the daemon, or as root") from None
    except TimeoutError:
        raise NoAnswer(f"the daemon did not answer within {seconds:g} seconds; its log may say why") from None
    except OSError as error:
        raise NoDaemon(f"cannot reach the daemon at {path}: {error.strerror or error}") from None


def _read_line(connection: socket.socket, deadline: float) -> bytes:
    """Return the answer without its newline; what comes in drops is subject to the same deadline."""
    received = bytearray()
    while not received.endswith(b"\n"):
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(65536)
        received += part
        if not part or len(received) > LONGEST_ANSWER:
            raise NoAnswer("the daemon's answer is not complete; try again")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(received)


def _decode(line: bytes, kind: type[Answer]) -> Answer:
    try:
        document: Any = msgspec.json.decode(line)
        if isinstance(document, dict) and isinstance(document.get("error"), str):
            raise NoAnswer(f"the daemon answered: {document['error']}")
        return msgspec.convert(document["result"], kind)
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError):
        raise NoAnswer("the daemon's answer was not understood; is it of another version?") from None
