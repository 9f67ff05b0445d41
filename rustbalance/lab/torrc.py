"""
The text of every torrc in the private network.

Owns: which options an authority, a relay and a client get. In: names, ports, paths; out: text. Pure.
Options are explained in tor(1); the ``Testing…`` ones in its section on test networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GOOD_PHASE = 2.0
"""Seconds after a multiple of the voting interval during which starting is good."""

WEIGHT = 1000
"""Bandwidth of every relay in the consensus, in kilobytes per second."""

BUILD_TIMEOUT = 2
"""Seconds after which a client that has been in use for a while gives up a circuit; it learns no shorter time."""


@dataclass(frozen=True)
class Timing:
    """How often the authorities vote, in seconds. A test network's day is 24 voting intervals (hs_common.c)."""

    voting_interval: int = 20
    first_interval: int = 10
    delay: int = 2

    def until_good_start(self, wall: float) -> float:
        """
        Return for how many seconds to put off the start at the Unix time ``wall``.

        Consensuses are made at whole multiples of the interval. Relays that start just before the vote are not in
        the first one, and then it takes more than an interval until clients learn of them.
        """
        phase = wall % self.first_interval
        return 0.0 if phase <= GOOD_PHASE else self.first_interval - phase


@dataclass(frozen=True)
class AuthorityIdentity:
    """What others must know about an authority: fingerprints in upper-case hex, ports on 127.0.0.1."""

    nickname: str
    v3ident: str
    fingerprint: str
    or_port: int
    dir_port: int

    @property
    def line(self) -> str:
        """The ``DirAuthority`` line."""
        return (
            f"DirAuthority {self.nickname} orport={self.or_port} v3ident={self.v3ident} "
            f"127.0.0.1:{self.dir_port} {self.fingerprint}"
        )


def include(authorities: Sequence[AuthorityIdentity]) -> str:
    """Return the lines that make a client or an onion service use the private network; made to be ``%include``d."""
    lines = ("TestingTorNetwork 1", "PathsNeededToBuildCircuits 0.67", *(authority.line for authority in authorities))
    return "".join(f"{line}\n" for line in lines)


def process(directory: Path, owner: int) -> str:
    """
    Return what every Tor process of the lab has: its own directory, its log on standard output.

    ``owner`` is the process id of the lab; Tor looks every 15 s whether it still lives, and exits when it does not.
    """
    return (
        f'DataDirectory "{directory}"\n'
        "Log notice stdout\n"
        "SafeLogging 0\n"
        "ProtocolWarnings 1\n"
        "ShutdownWaitLength 0\n"
        f"__OwningControllerProcess {owner}\n"
    )


def relay(nickname: str, or_port: int) -> str:
    """Return what makes a Tor a relay that believes in itself without being tested from outside."""
    return (
        f"Nickname {nickname}\n"
        f"ORPort 127.0.0.1:{or_port}\n"
        "Address 127.0.0.1\n"
        "AssumeReachable 1\n"
        "ExitRelay 1\n"
        "ExitPolicyRejectPrivate 0\n"
        "ExitPolicy accept 127.0.0.0/8:*\n"
        "ContactInfo lab@example.invalid\n"
        "SocksPort 0\n"
    )


def authority(dir_port: int, weights: Path, timing: Timing) -> str:
    """
    Return what makes a relay a directory authority that gives every relay every flag and the same weight at once.

    ``weights`` is a file with ``bandwidths``. Without it, for minutes after the boot, the few relays that happened to
    carry traffic first have all the weight, and a client whose only guard is one of them builds no circuit through it.
    Clients shall not learn to give up circuits after 50 ms either, which on loopback they do after a hundred of them,
    and before they have learned anything not wait as long as a new client does: 60 s, 181 s for a rendezvous.
    """
    return (
        "AuthoritativeDirectory 1\n"
        "V3AuthoritativeDirectory 1\n"
        f"DirPort 127.0.0.1:{dir_port}\n"
        f"V3AuthVotingInterval {timing.voting_interval}\n"
        f"V3AuthVoteDelay {timing.delay}\n"
        f"V3AuthDistDelay {timing.delay}\n"
        "V3AuthNIntervalsValid 2\n"
        f'V3BandwidthsFile "{weights}"\n'
        f"TestingV3AuthInitialVotingInterval {timing.first_interval}\n"
        f"TestingV3AuthInitialVoteDelay {timing.delay}\n"
        f"TestingV3AuthInitialDistDelay {timing.delay}\n"
        "AuthDirTestReachability 0\n"
        "AuthDirVoteStableGuaranteeMinUptime 0\n"
        "AuthDirVoteStableGuaranteeMTBF 0\n"
        f"ConsensusParams cbtmintimeout={BUILD_TIMEOUT * 1000} cbtinitialtimeout=5000\n"
        "TestingDirAuthVoteExit *\n"
        "TestingDirAuthVoteGuard *\n"
        "TestingDirAuthVoteHSDir *\n"
        "TestingMinExitFlagThreshold 0\n"
    )


def bandwidths(fingerprints: Sequence[str], measured_at: int) -> str:
    """Return a bandwidth list file (bandwidth-file-spec 1.0) in which all relays are equal."""
    lines = (f"node_id=${fingerprint} bw={WEIGHT}" for fingerprint in fingerprints)
    return f"{measured_at}\n" + "".join(f"{line}\n" for line in lines)


def client(control_port: int, socks_port: int) -> str:
    """Return the ports of a client; ``socks_port`` 0 is none. Streams with other SOCKS names get other circuits."""
    socks = f"127.0.0.1:{socks_port}" if socks_port else "0"
    return f"ControlPort 127.0.0.1:{control_port}\nCookieAuthentication 1\nSocksPort {socks}\n"


def visitor(control_port: int, socks_port: int) -> str:
    """
    Return a client as one that has been in use for a while: it gives up circuits after C{BUILD_TIMEOUT}.

    Before its first hundred circuits it would wait 16 s in place of 7 for a node that took its introduction and hangs.
    """
    return client(control_port, socks_port) + f"LearnCircuitBuildTimeout 0\nCircuitBuildTimeout {BUILD_TIMEOUT}\n"


def traffic(control_port: int, socks_port: int) -> str:
    """Return a client that builds the circuits it is told to, from any relay to any relay, and attaches no stream."""
    return client(control_port, socks_port) + (
        "UseEntryGuards 0\n__DisablePredictedCircuits 1\n__LeaveStreamsUnattached 1\nClientRejectInternalAddresses 0\n"
    )


def onion_service(directory: Path, target_port: int) -> str:
    """Return a plain onion service on port 80 in front of ``target_port`` on loopback."""
    return f'HiddenServiceDir "{directory}"\nHiddenServicePort 80 127.0.0.1:{target_port}\n'
