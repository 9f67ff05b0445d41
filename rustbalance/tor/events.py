"""
What Tor tells us unasked.

Owns: the meaning of asynchronous replies (control-spec section 4.1). In: the text of one, without its status code;
out: a value, or None for what we do not need. Pure.
"""

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass

from rustbalance.onion.address import AddressError, OnionAddress

#: The events to ask for with SETEVENTS.
SUBSCRIBED = (
    "STATUS_CLIENT",
    "STATUS_GENERAL",
    "HS_DESC",
    "HS_DESC_CONTENT",
    "CIRC",
    "CIRC_MINOR",
    "STREAM",
    "CONF_CHANGED",
)


@dataclass(frozen=True)
class DescriptorCreated:
    """Tor built a descriptor of its own service: it has started, or its introduction points have just rotated."""

    address: OnionAddress


@dataclass(frozen=True)
class DescriptorUploaded:
    """
    The directory ``fingerprint`` has stored a descriptor.

    Tor does not say which one: when a relay is responsible for both, the two events look the same.
    """

    address: OnionAddress
    fingerprint: str


@dataclass(frozen=True)
class DescriptorUploadFailed:
    """The directory has refused the descriptor of that blinded key (base64); ``UPLOAD_REJECTED``: raise the counter."""

    address: OnionAddress
    fingerprint: str
    blinded: str
    reason: str

    @property
    def blinded_public(self) -> bytes:
        """The key itself, empty when what Tor says is none: nobody's."""
        try:
            return b64decode(self.blinded + "=" * (-len(self.blinded) % 4), validate=True)
        except ValueError:
            return b""


@dataclass(frozen=True)
class UploadBegan:
    """Tor has a stream to the directory ``fingerprint``, by which it is going to upload something."""

    fingerprint: str
    stream: str


@dataclass(frozen=True)
class DirectoryStreamEnded:
    """
    A stream to the directory ``fingerprint`` is closed, whatever it was for.

    What the directory has answered to an upload comes right after this (``DescriptorUploaded`` or its failure), and
    never at all when Tor broke the upload off or the way to the directory failed: then this is all that Tor says.
    """

    fingerprint: str
    stream: str


@dataclass(frozen=True)
class DescriptorFetched:
    """
    What the directory ``fingerprint`` gave when it was asked for the descriptor of that blinded key (base64).

    ``text`` is empty when it gave nothing; ``DescriptorFetchFailed`` has said why then.
    """

    address: OnionAddress
    fingerprint: str
    blinded: str
    text: bytes


@dataclass(frozen=True)
class DescriptorFetchFailed:
    """The directory did not give it; ``NOT_FOUND``: it has none."""

    address: OnionAddress
    fingerprint: str
    blinded: str
    reason: str


@dataclass(frozen=True)
class ServicesReconfigured:
    """
    The onion services in Tor's configuration, or whether Tor publishes them, have been changed by anybody: us as well.

    A reload (SIGHUP) is told in this way too; it takes away whatever SETCONF has set.
    """


@dataclass(frozen=True)
class ClockSkewed:
    """By what a relay or a consensus says our clock is ``ahead`` by so many seconds (negative: behind)."""

    ahead: float


@dataclass(frozen=True)
class ClockJumped:
    """Our clock was set, or the machine slept, for ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class ConsensusArrived:
    """Tor has a newer consensus."""


@dataclass(frozen=True)
class BootstrapProgress:
    """How far Tor is, in percent; ``warning`` is what keeps it from going on."""

    percent: int
    tag: str
    summary: str
    warning: str | None = None


@dataclass(frozen=True)
class IntroductionCircuit:
    """An introduction circuit of the service ``address`` has become usable (``established``) or is gone."""

    address: OnionAddress
    circuit: str
    established: bool


Event = (
    DescriptorCreated
    | DescriptorUploaded
    | DescriptorUploadFailed
    | UploadBegan
    | DirectoryStreamEnded
    | DescriptorFetched
    | DescriptorFetchFailed
    | ServicesReconfigured
    | ClockSkewed
    | ClockJumped
    | ConsensusArrived
    | BootstrapProgress
    | IntroductionCircuit
)

#: Reasons of ``HS_DESC FAILED`` that may belong to an upload; Tor uses the same event for fetches.
_UPLOAD_REASONS = {"UPLOAD_REJECTED", "UNEXPECTED"}
_KEYWORD = re.compile(r'([A-Z_]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
_BLANK = re.compile(r"[ \n]")
_RELAY = re.compile(r"\$?([0-9A-F]{40})(?:[~=]\w+)?")
#: What a stream of Tor's own to a directory is named by: its address, the relay, its port.
_DIRECTORY = re.compile(r"\.\$([0-9A-F]{40})\.exit:\d+$")


def parse_event(text: str) -> Event | None:
    """Return what ``text`` (one event, several lines joined by newlines) says, or None when it is nothing to us."""
    name, *rest = _BLANK.split(text, maxsplit=1)
    reader = _READERS.get(name)
    if reader is None:
        return None
    try:
        return reader("".join(rest))
    except (AddressError, LookupError, ValueError):
        return None


def parse_bootstrap(text: str) -> BootstrapProgress:
    """
    Read ``NOTICE BOOTSTRAP PROGRESS=…`` as GETINFO status/bootstrap-phase and STATUS_CLIENT give it.

    :raises LookupError: a field is missing. :raises ValueError: the progress is no number.
    """
    found = keywords(text)
    return BootstrapProgress(int(found["PROGRESS"]), found["TAG"], found["SUMMARY"], found.get("WARNING"))


def keywords(text: str) -> dict[str, str]:
    """Return the ``KEY=value`` and ``KEY="value"`` pairs of ``text``."""
    return {key: re.sub(r"\\(.)", r"\1", quoted) if quoted else plain for key, quoted, plain in _KEYWORD.findall(text)}


def _client_status(text: str) -> Event | None:
    _, action, *_ = text.split(" ", 2)
    if action == "BOOTSTRAP":
        return parse_bootstrap(text)
    return ConsensusArrived() if action == "CONSENSUS_ARRIVED" else None


def _general_status(text: str) -> Event | None:
    _, action, *_ = text.split(" ", 2)
    if action == "CLOCK_SKEW":
        return ClockSkewed(float(keywords(text)["SKEW"]))
    return ClockJumped(float(keywords(text)["TIME"])) if action == "CLOCK_JUMPED" else None


def _descriptor(text: str) -> Event | None:
    action, address, _, relay, *rest = text.split()
    if action == "CREATED":
        return DescriptorCreated(OnionAddress.parse(address))
    if action == "UPLOADED":
        return DescriptorUploaded(OnionAddress.parse(address), _fingerprint(relay))
    if action == "FAILED":
        return _failed(OnionAddress.parse(address), _fingerprint(relay), rest, keywords(text)["REASON"])
    return None


def _failed(address: OnionAddress, relay: str, rest: list[str], reason: str) -> Event:
    kind = DescriptorUploadFailed if reason in _UPLOAD_REASONS else DescriptorFetchFailed
    return kind(address, relay, rest[0], reason)


def _content(text: str) -> Event:
    """Read the head and the descriptor behind it, without the OK that ends the reply."""
    head, _, body = text.partition("\n")
    address, blinded, relay = head.split()
    descriptor = body.removesuffix("OK").lstrip("\n").encode("utf-8", "replace")
    return DescriptorFetched(OnionAddress.parse(address), _fingerprint(relay), blinded, descriptor)


def _changed(text: str) -> Event | None:
    concerned = re.search(r"^(HiddenService|PublishHidServDescriptors\b)", text, re.MULTILINE)
    return ServicesReconfigured() if concerned else None


def _circuit(text: str) -> Event | None:
    if "HS_SERVICE_INTRO" not in text:
        return None
    circuit, status, *_ = text.split(" ", 2)
    found = keywords(text)
    established = found.get("HS_STATE") == "HSSI_ESTABLISHED"
    gone = status in ("CLOSED", "FAILED")
    if found.get("PURPOSE") != "HS_SERVICE_INTRO" or not (established or gone):
        return None
    return IntroductionCircuit(OnionAddress.parse(found["REND_QUERY"]), circuit, established and not gone)


def _stream(text: str) -> Event | None:
    """Read what concerns Tor's own streams to directories; those of visitors are nobody's business here."""
    stream, status, _, target, *rest = text.split(" ")
    directory = _DIRECTORY.search(target)
    if directory is None:
        return None
    if status == "NEW" and "PURPOSE=DIR_UPLOAD" in rest:
        return UploadBegan(directory[1], stream)
    return DirectoryStreamEnded(directory[1], stream) if status == "CLOSED" else None


def _fingerprint(relay: str) -> str:
    found = _RELAY.fullmatch(relay)
    if found is None:
        raise ValueError("a relay is named by $, 40 hexadecimal digits and maybe ~ and a nickname")
    return found[1]


_READERS: dict[str, Callable[[str], Event | None]] = {
    "STATUS_CLIENT": _client_status,
    "STATUS_GENERAL": _general_status,
    "HS_DESC": _descriptor,
    "HS_DESC_CONTENT": _content,
    "CONF_CHANGED": _changed,
    "CIRC": _circuit,
    "CIRC_MINOR": _circuit,
    "STREAM": _stream,
}
