"""
Why the address cannot be reached.

Owns: the questions after a row of failed visits, in their order, and the failure that their answers amount to. In: the
state of the node and how the visits ended; out: a ``Diagnosis``. Pure.

The way to a page is asked about from our end of it: does the visit get out, is something reached, does our own service
run, do its introduction points stand, does somebody publish, do the directories have it. What is reported is what can
be mended here; where that is another node's to do, its own visits will tell it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rustbalance.health.findings import kind
from rustbalance.health.repair import Failure
from rustbalance.health.visits import End
from rustbalance.ops.directories import DirectoryReport, Finding
from rustbalance.ops.status import NodeStatus


@dataclass(frozen=True)
class Evidence:
    """
    ``ends``: how the visits in the row have ended. ``through``: the Tor that they went through.

    ``standing``: how many introduction circuits each Tor has that serves visitors, as far as it has said.
    ``directories``: what they hold, None where that was not found out.
    """

    node: NodeStatus
    ends: tuple[End, ...]
    through: str
    standing: Mapping[str, int]
    directories: DirectoryReport | None = None


@dataclass(frozen=True)
class Diagnosis:
    """``sentence`` is for people; ``failure`` of ``subject`` is what to repair, None when there is nothing here to."""

    sentence: str
    failure: Failure | None = None
    subject: str = ""


def diagnose(evidence: Evidence) -> Diagnosis:
    """Return the first of the questions whose answer is bad, and what that amounts to."""
    return next(found for question in _QUESTIONS if (found := question(evidence)) is not None)


def _way_out(evidence: Evidence) -> Diagnosis | None:
    if any(end is not End.NO_SOCKS for end in evidence.ends):
        return None
    sentence = f"Tor ({evidence.through}), through which the address is visited, takes no connections"
    return Diagnosis(sentence, Failure.TOR_HUNG, evidence.through)


def _something_answers(evidence: Evidence) -> Diagnosis | None:
    """Something was reached, so all of Tor works, and what is wrong is behind it."""
    if End.STRANGE not in evidence.ends:
        return None
    if evidence.node.proxy.target_healthy is False:
        return Diagnosis("the address is reached, but the target does not answer", Failure.TARGET_DOWN)
    return Diagnosis(
        "the address is reached, but what answers is no canary: enable it on every node, with the same path and token"
    )


def _service(evidence: Evidence) -> Diagnosis | None:
    serving = [tor for tor in evidence.node.instances if tor.serves_visitors]
    if not serving or any(tor.phase == "serving" for tor in serving):
        return None
    first = serving[0]
    return Diagnosis(f"our own Tor ({first.name}) does not serve", kind(first), first.name)


def _points(evidence: Evidence) -> Diagnosis | None:
    name = next((name for name, count in evidence.standing.items() if not count), None)
    if name is None:
        return None
    return Diagnosis(f"no introduction point of our Tor ({name}) stands", Failure.NO_POINTS, name)


def _publisher(evidence: Evidence) -> Diagnosis | None:
    cluster = evidence.node.cluster
    if cluster is not None and cluster.publisher is None:
        return Diagnosis("no node publishes at present")
    if not evidence.node.publishes or (evidence.node.descriptors and evidence.node.published):
        return None
    return Diagnosis("too few directories have confirmed our descriptors", Failure.PUBLISHER_UNABLE)


def _directories(evidence: Evidence) -> Diagnosis | None:
    """What was just seen there says more than a visit that found no descriptor."""
    report = evidence.directories
    asked = [] if report is None else [row for row in report.rows if row.seat == report.asked]
    if asked and all(row.finding is Finding.SILENT for row in asked):
        sentence = f"Tor ({evidence.through}), through which the address is visited, reaches no directory either"
        return Diagnosis(sentence, Failure.NO_WAY_OUT, evidence.through)
    bad = sum(not row.finding.good for row in asked)
    if 2 * bad > len(asked):
        sentence = f"{bad} of {len(asked)} directories do not have the descriptor that visitors ask for"
        return _published(sentence, Failure.DESCRIPTOR_STALE, evidence)
    if asked or evidence.ends[-1] is not End.LOOKUP:
        return None
    return _published("no directory has given a descriptor", Failure.DESCRIPTOR_STALE, evidence)


def _nothing(evidence: Evidence) -> Diagnosis | None:
    return _published("nothing is wrong here, as far as can be seen", Failure.UNREACHABLE, evidence)


def _published(sentence: str, failure: Failure, evidence: Evidence) -> Diagnosis:
    """Only the publisher can do something about what is published."""
    cluster = evidence.node.cluster
    if evidence.node.publishes or cluster is None:
        return Diagnosis(sentence, failure)
    return Diagnosis(f"{sentence}; node {cluster.publisher} publishes")


_QUESTIONS: Final[tuple[Callable[[Evidence], Diagnosis | None], ...]] = (
    _way_out,
    _something_answers,
    _service,
    _points,
    _publisher,
    _directories,
    _nothing,
)
