"""
What joining remembers over a restart, on either side.

Owns: the two files and their forms. In: a path, values; out: the values that were written last, or ``StateDamaged``.

A member remembers what it has answered (``Ledger``): which bundles are used up, which requests were heard, which
addresses inside the tunnel are promised, how many have joined of late. A newcomer remembers with what it joins, and
that it has (``Joining``). Times are Unix time in seconds, since they must mean something after a restart.
"""

from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from twisted.internet.defer import Deferred

from rustbalance.cluster.messages import Identifier, NodeRecord, PublicKey, Ticket
from rustbalance.files import write_atomically
from rustbalance.life import InThread, InTurn, at_once

LEDGER, JOINING = "joins.json", "joining.json"
"""Names of the files in ``state_dir``."""


class StateDamaged(ValueError):
    """A file is not what we have written; the message names it and says what to do."""


class Used(msgspec.Struct, frozen=True):
    """A ticket belongs to the first node key that came with it; it is worth remembering until ``expires``."""

    ticket: PublicKey
    public_key: PublicKey
    expires: float


class Heard(msgspec.Struct, frozen=True):
    """A request of that key that was answered, by its nonce; its time would let it in again until ``until``."""

    nonce: Identifier
    until: float
    public_key: bytes = b""


class Promise(msgspec.Struct, frozen=True):
    """An address inside the tunnel that a key will have; others may have it after ``until``."""

    address: str
    public_key: PublicKey
    until: float


class Change(msgspec.Struct, frozen=True):
    """Somebody new, or somebody's new record, at that time: what limits are counted by."""

    public_key: PublicKey
    at: float
    new: bool


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """What a member remembers of those who have asked to join."""

    used: tuple[Used, ...] = ()
    heard: tuple[Heard, ...] = ()
    promises: tuple[Promise, ...] = ()
    changes: tuple[Change, ...] = ()


class Joining(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a newcomer remembers: the ticket of its bundle, who was a member then, and how far it has come.

    ``binding`` ties the node key to the ticket. ``joined_at`` is None until somebody has let it in; ``members`` are
    those of that moment.
    """

    ticket: Ticket
    binding: bytes
    records: tuple[NodeRecord, ...] = ()
    tunnel_ip: str | None = None
    joined_at: float | None = None
    members: tuple[NodeRecord, ...] = ()


Value = TypeVar("Value", Ledger, Joining)


class JoinFile(Generic[Value]):
    """One value in a file of mode 0600, always whole. What is kept while others wait is written ``in_thread``."""

    def __init__(self, path: Path, kind: type[Value], in_thread: InThread = at_once) -> None:
        self.path = path
        self._decoder: msgspec.json.Decoder[Value] = msgspec.json.Decoder(kind)
        self._in_turn = InTurn(in_thread)

    def read(self) -> Value | None:
        """
        Return what was written last, None when nothing ever was.

        :raises StateDamaged: it is something else, or cannot be read.
        """
        try:
            return self._decoder.decode(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateDamaged(f"{self.path} cannot be read: {error.strerror}") from None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise StateDamaged(f"{self.path} is damaged; move it away and start again") from None

    def write(self, value: Value) -> None:
        """Replace it; it is on the disk when this returns."""
        write_atomically(self.path, msgspec.json.encode(value))

    def keep(self, value: Value) -> Deferred[None]:
        """
        Replace it after what is being written; fires when it is on the disk, or fails with ``OSError``.

        Cancelling ends the wait only: the value may be on the disk afterwards, and nothing older will be.
        """
        return self._in_turn(lambda: self.write(value))
