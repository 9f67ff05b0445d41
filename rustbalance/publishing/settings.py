"""
How publishing behaves.

Owns: the figures that the cores of this room decide by. In: what the operator configured (``publish.*``, and the number
of introduction points); out: ``PublishSettings``. All times are in seconds.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class PublishSettings:
    """
    Both what an operator sets and what only tests change.

    ``max_age_secs``: age of what was last confirmed at which a publish is overdue. ``expected_points``: introduction
    points that our Tors were told to keep, all together; while there are fewer, a publish waits ``points_grace`` after
    the last one, and at most ``points_patience`` after the first; after ``shortage_secs`` it is worth a word.
    ``min_directories``: confirmations that make a publish a success (all, where fewer directories are responsible).
    ``directory_deadline``: after it a directory has not answered; Tor itself never says so. ``directory_quiet``: how
    much longer a late answer from it is waited for before another text goes there. ``answer_grace``: when the answer
    must be there once Tor has closed the stream of the upload.

    An upload that fails is known by the end of its stream, and the answer follows that end within 40 ms (measured, on a
    busy machine). So the deadline is only for uploads that hang: of a thousand the slowest was answered after 0.7 s on
    a private network; 20 s leave room for the circuits of the public one. The quiet time guards against a late answer
    that is taken for one to the next text. Tor may hold on to an upload for 120 s (SocksTimeout), but a better text is
    worth more than that certainty: a wrong confirmation is found a minute later by the check of what visitors fetch
    (``verifier``), and mended.
    """

    refresh_interval_secs: float = 600.0
    max_age_secs: float = 900.0
    max_intro_points: int = 20
    min_directories: int = 4
    expected_points: int = 3

    directory_deadline: float = 20.0
    directory_quiet: float = 10.0
    answer_grace: float = 1.0
    retry_least: float = 5.0
    retry_most: float = 300.0

    points_grace: float = 1.0
    points_patience: float = 5.0
    shortage_secs: float = 120.0
    rotation_grace: float = 1.5
    gap_least: float = 1.0
    gap_most: float = 30.0
    gap_loss: float = 5.0
    read_quick: float = 0.25
    read_slow: float = 10.0
    eager: float = 5.0
    ring_retry: float = 1.0
    ring_recheck: float = 600.0


@dataclass(frozen=True, kw_only=True)
class VerifySettings:
    """
    How uploads are checked afterwards: ``delay`` after a publish and then so that each check is over one ``interval``
    after the one before has begun.

    ``mode``: "fetch" asks the directories, "upload" goes by what they have confirmed, "off" checks only on request.
    ``deadline``: for the answer of one directory. One whose answer was not good is asked once more, at once; one that
    gave none, after a ``pause``.
    """

    mode: Literal["fetch", "upload", "off"] = "fetch"
    interval: float = 300.0
    delay: float = 60.0
    deadline: float = 20.0
    pause: float = 2.0
