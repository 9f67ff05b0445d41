"""
What is wrong with a configuration, said so that it can be put right.

Owns: the complaint and its wording. In: a key, its value and the rule; out: one line each, all of them in one error.
The value of a secret never gets in here, nor that of an unknown key, which may be a misspelt secret.
"""

import difflib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass

_BARE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LONGEST_VALUE = 120


@dataclass(frozen=True)
class Complaint:
    """``key`` is dotted, ``value`` as it may be shown (None: not shown), ``nearest`` a key that may have been meant."""

    key: str
    rule: str
    value: str | None = None
    nearest: str | None = None

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {self.value}"
        meant = "" if self.nearest is None else f"; did you mean {self.nearest}?"
        return f"{self.key}{given}: {self.rule}{meant}"


class ConfigError(Exception):
    """The configuration cannot be used. ``complaints`` says why, every reason at once."""

    def __init__(self, complaints: Collection[Complaint]) -> None:
        super().__init__("\n".join(str(complaint) for complaint in complaints))
        self.complaints = tuple(complaints)


class Refused(ValueError):
    """A value does not keep the rule of its key; the message, if any, says it more exactly than the rule does."""


def shown(value: object) -> str:
    """Return ``value`` as it may be printed: on one line, without control characters, not too long."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    text = _quoted(value) if isinstance(value, str | bool) else _plain(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:60]}…{text[-40:]}"


def shortened(value: object) -> str:
    """Return an onion address as it may be logged: its two ends."""
    if not isinstance(value, str) or len(value) < 20:
        return shown(value)
    return shown(f"{value[:6]}…{value[-10:]}")


def dotted(*parts: str) -> str:
    """Return the parts of a key joined by dots, odd ones in quotes as TOML has them."""
    return ".".join(part if _BARE.fullmatch(part) else shown(part) for part in parts)


def nearest(key: str, known: Collection[str]) -> str | None:
    """Return the known key that looks most like ``key``, or None when none does."""
    whole = difflib.get_close_matches(key[:100], known, n=1, cutoff=0.75)
    if whole:
        return whole[0]
    tails = {name.rpartition(".")[2]: name for name in known}
    last = difflib.get_close_matches(key.rpartition(".")[2][:100], tails, n=1, cutoff=0.7)
    return tails[last[0]] if last else None


def _quoted(value: str | bool) -> str:
    """Return the value as TOML spells it; what could play tricks with a terminal is escaped."""
    return json.dumps(value, ensure_ascii=not str(value).isprintable())


def _plain(value: object) -> str:
    """Return a number or a date; a number of thousands of digits is not worth converting."""
    if isinstance(value, int) and value.bit_length() > 256:
        return "a huge number"
    return str(value)
