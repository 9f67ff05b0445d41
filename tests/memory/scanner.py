"""
Looks for secrets in the memory of another process.

The needles live in the scanning process only; a process that scanned itself would find them there. Works through
C{/proc/PID/mem} and C{smaps}, where the flag C{lo} marks locked pages.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: Mappings of the kernel that cannot be read through /proc/PID/mem and hold nothing of the process.
KERNELS = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


@dataclass(frozen=True)
class Region:
    """One mapping."""

    start: int
    end: int
    name: str
    locked: bool


@dataclass
class Findings:
    """What a scan saw."""

    locked: dict[str, int] = field(default_factory=dict)  # name of the secret -> copies in locked pages
    elsewhere: dict[str, int] = field(default_factory=dict)
    size: int = 0  # bytes read
    unreadable: list[str] = field(default_factory=list)
    locked_kilobytes: int = 0


def regions(pid: int) -> Iterator[Region]:
    """Yield the mappings of a process."""
    head: list[str] = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            head = words
        elif words[0] == "VmFlags:":
            start, end = (int(number, 16) for number in head[0].split("-"))
            yield Region(start, end, head[5] if len(head) > 5 else "", "lo" in words)


def forms(secret: bytes) -> list[bytes]:
    """Return the ways in which a copy of a secret could lie in memory; C{secret} is at least 16 bytes long."""
    start = (len(secret) - 16) // 2
    digits = secret.hex().encode()
    return [secret, secret[start : start + 16], digits, digits.upper(), base64.b64encode(secret).rstrip(b"=")[:-1]]


def radix16(scalar: bytes) -> bytes:
    """Return the signed digits that libsodium makes of a scalar on its stack when it multiplies the base point."""
    digits = [digit for octet in scalar for digit in (octet & 15, octet >> 4)]
    carry = 0
    for position in range(63):
        digits[position] += carry
        carry = (digits[position] + 8) >> 4
        digits[position] -= carry << 4
    digits[63] += carry
    return bytes(digit & 255 for digit in digits)


def scan(pid: int, needles: Mapping[str, list[bytes]]) -> Findings:
    """
    Count every form of every secret in the memory of a stopped process.

    @raise OSError: its memory may not be read.
    """
    findings = Findings(dict.fromkeys(needles, 0), dict.fromkeys(needles, 0))
    descriptor = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for region in regions(pid):
            if region.name not in KERNELS:
                _scan_region(descriptor, region, needles, findings)
    finally:
        os.close(descriptor)
    status = Path(f"/proc/{pid}/status").read_text()
    findings.locked_kilobytes = int(status.split("VmLck:")[1].split()[0])
    return findings


def _scan_region(descriptor: int, region: Region, needles: Mapping[str, list[bytes]], findings: Findings) -> None:
    try:
        contents = os.pread(descriptor, region.end - region.start, region.start)
    except OSError:
        findings.unreadable.append(f"{region.name} {region.start:x}-{region.end:x}")
        return
    findings.size += len(contents)
    into = findings.locked if region.locked else findings.elsewhere
    for name, wanted in needles.items():
        into[name] += sum(contents.count(form) for form in wanted)
