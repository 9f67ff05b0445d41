"""
The keys of the section ``tor``.

Owns: their names, types, defaults and rules, as ``schema`` does those of all others. In: nothing; out: ``Tor``.
"""

from pathlib import Path
from typing import Annotated, Literal

from rustbalance.config import keys
from rustbalance.config.keys import found_out
from rustbalance.config.section import Section
from rustbalance.secrets import Secret


class Tor(Section, frozen=True, kw_only=True):
    """The Tor processes: our own children (managed) or running ones (external)."""

    mode: Annotated[
        Literal["managed", "external"],
        keys.choice("Start Tor ourselves, or use a running one that serves nothing else.", "managed", "external"),
    ] = "managed"
    binary: Annotated[str, keys.program("Managed, scout: the tor program.")] = "tor"
    torrc_include: Annotated[
        Path | None, keys.file("Managed, scout: a file that every torrc of ours includes (for private networks).")
    ] = None
    control_host: Annotated[str, keys.host("External: the host of the control and SOCKS ports.")] = "127.0.0.1"
    control_port: Annotated[int, keys.port("External: the control port.")] = 9051
    control_socket: Annotated[
        Path | None, keys.unix_socket("External: the control socket, in place of control_port.")
    ] = None
    socks_port: Annotated[int, keys.port("External: the SOCKS port.")] = 9050
    control_password: Annotated[
        Secret | None, keys.hidden("External: the control password; without it the cookie that Tor names is used.")
    ] = None
    standby_mode: Annotated[
        Literal["off", "service", "socks"],
        found_out(
            keys.choice(
                "A second instance: one that serves visitors too (service), or only takes outgoing connections when "
                "the primary fails (socks; visitors then cannot reach this node).",
                "off",
                "service",
                "socks",
            ),
            '`"service"` when managed or when the standby\'s control port is given, `"socks"` when only its SOCKS port '
            'is, else `"off"`',
        ),
    ] = "off"
    standby_control_port: Annotated[int | None, keys.port("External: the standby's control port.")] = None
    standby_control_socket: Annotated[
        Path | None, keys.unix_socket("External: the standby's control socket, in place of standby_control_port.")
    ] = None
    standby_socks_port: Annotated[int | None, keys.port("External: the standby's SOCKS port.")] = None
    scout: Annotated[
        bool,
        found_out(
            keys.switch("A child of its own that serves nobody: it looks at the address as visitors do."),
            '`true` when managed or with `coordination.mode = "tor"`, which needs it',
        ),
    ] = False
    restart_command: Annotated[
        tuple[str, ...],
        keys.texts(
            "External: the program and its arguments that restart a Tor which hangs or is gone; {instance} becomes "
            "default or standby."
        ),
    ] = ()
    num_introduction_points: Annotated[int, keys.whole("Introduction points of each instance.", 3, 20)] = 3
