"""
Revision counters in Tor's own order-preserving scheme.

Owns: the counter that Tor itself would give a descriptor at some second, so that we outbid Tor and Tor outbids us.
In: the key that ``BlindedKey.revision_key`` derives, and seconds; out: a number that only ever grows.
Source: rend-spec-v3 appendix F.2; C tor's crypto_ope.c and hs_service.c.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from rustbalance.onion.plan import SeatPlan

LARGEST_INPUT = 262_144
"""Seconds into a run (three days and a bit) up to which the scheme is defined."""


class RevisionOutOfRange(ValueError):
    """The scheme has no counter for so many seconds."""


def revision_counter(revision_key: bytes, seconds_into_run: int) -> int:
    """
    Return the counter for the second ``seconds_into_run`` (1 for the first one) of a shared random run.

    The sum of so many 16-bit little-endian words of an AES-256-CTR keystream, each plus one.

    :raises RevisionOutOfRange: not 1 to 262144.
    """
    if not 1 <= seconds_into_run <= LARGEST_INPUT:
        raise RevisionOutOfRange(f"seconds into the run must be 1 to {LARGEST_INPUT}, not {seconds_into_run}")
    cipher = Cipher(algorithms.AES256(revision_key), modes.CTR(bytes(16)))
    stream = cipher.encryptor().update(bytes(2 * seconds_into_run))
    # Low and high bytes apart: exact on any machine, and a sum of bytes makes no new numbers.
    return sum(stream[0::2]) + 256 * sum(stream[1::2]) + seconds_into_run


def revision_at(revision_key: bytes, plan: SeatPlan, wall: float) -> int:
    """
    Return the counter that Tor would give the descriptor of ``plan`` at the Unix time ``wall``.

    A time outside the scheme (our clock is behind the consensus, or Tor has had no new one for a day) counts as the
    nearest inside it: the publisher goes on from its last counter then.
    """
    seconds = int(wall) - plan.srv_run_start + 1
    return revision_counter(revision_key, min(max(seconds, 1), LARGEST_INPUT))
