"""
A synthetic network as large as the real one.

Owns: text of a microdescriptor consensus and of its microdescriptors, in the form Tor gives them. In: a number of
relays and a seed; out: bytes.
"""

import base64
import hashlib
import random
from datetime import UTC, datetime

VALID_AFTER = int(datetime(2026, 11, 23, 15, 0, tzinfo=UTC).timestamp())
_PROTOCOLS = (
    "Conflux=1 Cons=1-2 Desc=1-4 DirCache=2 FlowCtrl=1-2 HSDir=2 HSIntro=4-5 HSRend=1-2 Link=3-5 LinkAuth=3 "
    "Microdesc=1-3 Padding=2 Relay=2-6"
)
_HEADER = """network-status-version 3 microdesc
vote-status consensus
consensus-method 35
valid-after 2026-11-23 15:00:00
fresh-until 2026-11-23 16:00:00
valid-until 2026-11-23 18:00:00
voting-delay 300 300
known-flags Authority Exit Fast Guard HSDir Running Stable V2Dir Valid
params CircuitPriorityHalflifeMsec=30000 circwindow=1000 hs_service_max_rdv_failures=1 hsdir_spread_store=4
shared-rand-previous-value 9 Uqgo0cS4vxSwrRS2X0ei/dfSivjRO33G4wpr39fS194=
shared-rand-current-value 9 31TQd209UXNO7vUXkTuQ1XOlHWiq3EvBKEQELbdCdtY=
dir-source moria 61DE87A1034CF12379C7E369CD14B44395F9B46F 127.0.0.1 127.0.0.1 9131 9101
contact bench
vote-digest AF074D2C76A26AFE0CD948FD6538240CC8C3C55E
"""
_FOOTER = """directory-footer
bandwidth-weights Wbd=0 Wbe=0 Wbg=4194 Wbm=10000 Wdb=10000 Web=10000 Wed=10000 Wee=10000 Weg=10000 Wem=10000
"""


def consensus_and_microdescriptors(relays: int, seed: int = 1) -> tuple[bytes, bytes]:
    """Return consensus and microdescriptors (the latter without the last newline, as the control protocol has it)."""
    source = random.Random(seed)
    descriptors = [_microdescriptor(source) for _ in range(relays)]
    identities = sorted(source.randbytes(20) for _ in range(relays))
    entries = [
        _entry(number, identity, text, source)
        for number, (identity, text) in enumerate(zip(identities, descriptors, strict=True))
    ]
    consensus = _HEADER + "".join(entries) + _FOOTER
    return consensus.encode(), "".join(descriptors).encode().rstrip(b"\n")


def _microdescriptor(source: random.Random) -> str:
    rsa_key = base64.encodebytes(b"\x30\x81\x89\x02\x81\x81\x00" + source.randbytes(128) + b"\x02\x03\x01\x00\x01")
    lines = [
        "onion-key",
        f"-----BEGIN RSA PUBLIC KEY-----\n{rsa_key.decode()}-----END RSA PUBLIC KEY-----",
        f"ntor-onion-key {_base64(source.randbytes(32))}",
    ]
    if source.random() < 0.5:
        lines.append("family " + " ".join(f"${source.randbytes(20).hex().upper()}" for _ in range(6)))
    if source.random() < 0.3:
        lines.append("p accept 20-23,43,53,79-81,88,110,143,194,220,389,443,464-465,531,543-544,554,563,587,636,706")
    lines.append(f"id ed25519 {_base64(source.randbytes(32))}")
    return "\n".join(lines) + "\n"


def _entry(number: int, identity: bytes, microdescriptor: str, source: random.Random) -> str:
    lines = [f"r relay{number} {_base64(identity)} 2038-01-01 00:00:00 10.{number >> 8}.{number & 255}.1 9001 0"]
    if source.random() < 0.5:
        lines.append(f"a [2001:db8::{number:x}]:9001")
    lines.append(f"m {_base64(hashlib.sha256(microdescriptor.encode()).digest())}")
    lines.append(
        "s " + source.choice(("Fast Guard HSDir Running Stable V2Dir Valid", "Exit Fast HSDir Running V2Dir Valid"))
    )
    lines += ["v Tor 0.4.9.11", f"pr {_PROTOCOLS}", f"w Bandwidth={source.randrange(20, 100_000)}"]
    return "\n".join(lines) + "\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
