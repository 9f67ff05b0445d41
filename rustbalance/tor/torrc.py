"""
What a Tor of ours is told.

Owns: the options of the onion service and the torrc of a managed instance (tor manual). In: paths and numbers;
out: text and option lists. Pure; the same options serve the torrc, SETCONF and the comparison with GETCONF.
"""

from dataclasses import dataclass
from pathlib import Path

from rustbalance.tor.replies import Setting, quoted

#: The longest path that a Unix socket may have here, in bytes (Linux takes 107).
LONGEST_SOCKET_PATH = 100

OWN_DIRECTORY = "HiddenServiceDir"
ONIONBALANCE = "HiddenServiceOnionBalanceInstance"
PUBLISH = "PublishHidServDescriptors"


class SocketPathTooLong(ValueError):
    """A Unix socket cannot have a path of that length."""


@dataclass(frozen=True)
class HiddenService:
    """
    The onion service on an instance.

    ``directory`` holds its keys and ``ob_config``; visitors are sent to ``forward_to``: ``unix:PATH`` or ``HOST:PORT``.
    """

    directory: Path
    forward_to: str
    introduction_points: int

    def options(self) -> tuple[tuple[str, str], ...]:
        """
        Return the options of the service itself, the directory first as Tor wants it.

        As an OnionBalance instance of its own address it accepts introductions for the neighbouring time periods,
        so that one set of points serves both descriptors.
        """
        return (
            (OWN_DIRECTORY, str(self.directory)),
            ("HiddenServicePort", f"80 {self._target()}"),
            ("HiddenServiceNumIntroductionPoints", str(self.introduction_points)),
            (ONIONBALANCE, "1"),
        )

    def with_publishing_off(self) -> tuple[tuple[str, str], ...]:
        """Return the same, led by the switch that leaves publishing to us."""
        return ((PUBLISH, "0"), *self.options())

    def _target(self) -> str:
        path = self.forward_to.removeprefix("unix:")
        return self.forward_to if path == self.forward_to else unix_socket(path)


@dataclass(frozen=True)
class Layout:
    """Where a managed instance keeps its things, all below ``directory`` (mode 0700)."""

    directory: Path

    def __post_init__(self) -> None:
        for path in (self.control_socket, self.socks_socket):
            if len(bytes(path)) > LONGEST_SOCKET_PATH:
                rule = f"must have at most {LONGEST_SOCKET_PATH} bytes; choose a shorter state_dir"
                raise SocketPathTooLong(f"the socket path {path} {rule}")

    @property
    def torrc(self) -> Path:
        """The configuration that we write."""
        return self.directory / "torrc"

    @property
    def data(self) -> Path:
        """Tor's own state: guards and the cached directory."""
        return self.directory / "data"

    @property
    def service(self) -> Path:
        """The HiddenServiceDir."""
        return self.directory / "service"

    @property
    def control_socket(self) -> Path:
        """Where Tor takes commands."""
        return self.directory / "control.sock"

    @property
    def socks_socket(self) -> Path:
        """Where Tor takes outgoing connections."""
        return self.directory / "socks.sock"

    @property
    def log(self) -> Path:
        """What Tor has to say since its last start."""
        return self.directory / "tor.log"

    @property
    def pid_file(self) -> Path:
        """The process id of the child, as we wrote it down."""
        return self.directory / "pid"


def render(layout: Layout, service: HiddenService | None, include: Path | None, owner: int) -> str:
    """
    Return the torrc of a managed instance that ends when the process ``owner`` does.

    What ``include`` names comes first, so that a private network can be described there and our lines prevail.
    Each value is quoted as a whole: outside of quotes a # begins a comment, wherever it stands.
    Without ``service`` it is a plain client that publishes whatever onion services are added to it.
    """
    options = [("%include", str(include))] if include else []
    options += [
        ("DataDirectory", str(layout.data)),
        ("ControlPort", unix_socket(layout.control_socket)),
        ("SocksPort", f"{unix_socket(layout.socks_socket)} ExtendedErrors"),
        ("CookieAuthentication", "1"),
        ("__OwningControllerProcess", str(owner)),
        ("RunAsDaemon", "0"),
        ("ClientOnly", "1"),
        ("DormantCanceledByStartup", "1"),
        ("Log", "warn stdout"),
        ("Log", f"notice file {layout.log}"),
        ("TruncateLogFile", "1"),
    ]
    if service is not None:
        options += service.with_publishing_off()
    return "".join(f"{key} {quoted(value)}\n" for key, value in options)


def unix_socket(path: str | Path) -> str:
    """Return ``path`` as an option's value names a socket: quoted inside the value, which is then quoted as a whole."""
    return f"unix:{quoted(str(path))}"


def is_as_wanted(found: tuple[Setting, ...], publishing: str | None, wanted: HiddenService) -> bool:
    """Say whether GETCONF shows our service exactly as we want it, alone, and publishing switched off."""
    return found == wanted.options() and publishing == "0"


def foreign_directories(found: tuple[Setting, ...], own: Path) -> tuple[str, ...]:
    """Return the HiddenServiceDirs in the answer to GETCONF HiddenServiceOptions that are not ``own``."""
    directories = (value for key, value in found if key == OWN_DIRECTORY and value)
    return tuple(directory for directory in directories if Path(directory) != own)


def needs_a_fresh_start(found: tuple[Setting, ...], own: Path) -> bool:
    """
    Say whether Tor runs the service at ``own`` without the OnionBalance option.

    Switched on for a service that already runs, it drops every introduction until the next rotation: take the
    service away first.
    """
    return (OWN_DIRECTORY, str(own)) in found and (ONIONBALANCE, "1") not in found
