"""
A configuration while it is being read.

Owns: reading each key by itself, whatever is wrong with the others. In: the tables that tomllib gives; out: the good
values, what the file really said, and a complaint for each bad, missing, unknown or not yet served key.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rustbalance.config.complaints import Complaint, Refused, dotted, nearest
from rustbalance.config.outline import Entry, entries, known_names, sections

#: How many unknown keys are compared with the known ones; past it the file is something else altogether.
MOST_SUGGESTIONS = 20
NOT_YET = "is not available in this version; leave it out"


class Draft:
    """What has been read so far, by dotted name."""

    def __init__(self, base: Path) -> None:
        """Take relative paths as meant from the directory ``base``."""
        self.base = base
        self.values: dict[str, Any] = {}
        self.given: dict[str, Any] = {}
        self.held: set[str] = set()  # the secrets that there are, wherever they came from
        self.complaints: list[Complaint] = []
        self._suggested = 0

    def complain(self, name: str, rule: str, value: str | None = None) -> None:
        """Add a complaint about the key ``name``."""
        self.complaints.append(Complaint(name, rule, value))

    def complain_shown(self, entry: Entry, rule: str) -> None:
        """Add a complaint about a key together with what the file says, unless that is secret."""
        value = None if entry.key.secret else entry.key.show(self.given[entry.dotted])
        self.complain(entry.dotted, rule, value)

    def read(self, document: Mapping[str, Any]) -> None:
        """Read all keys that are not secret."""
        tables = sections()
        for name in document:
            if name not in tables and name not in {entry.name for entry in entries("")}:
                self._unknown(name, document[name])
        for section in tables:
            self._read_table(section, document if not section else document.get(section, {}))

    def _read_table(self, section: str, table: Any) -> None:
        if not isinstance(table, dict):
            self.complain(section, f"must be a table, written [{section}]")
            return
        known = entries(section)
        for entry in known:
            self._read_key(entry, table)
        if section:
            allowed = {entry.name for entry in known} | {f"{entry.name}_file" for entry in known if entry.key.secret}
            for name in table.keys() - allowed:
                self._unknown(dotted(section, name), table[name])

    def _read_key(self, entry: Entry, table: Mapping[str, Any]) -> None:
        if entry.key.secret:
            self._note_secret(entry, table)
        elif entry.name in table:
            self.given[entry.dotted] = table[entry.name]
            self._read_value(entry, table[entry.name])
        elif entry.required:
            self.complain(entry.dotted, f"is missing; it {entry.key.rule}")
        else:
            self.values[entry.dotted] = entry.default

    def _note_secret(self, entry: Entry, table: Mapping[str, Any]) -> None:
        """Remember that a secret is mentioned; its value was cut out of the text, or must not be looked at."""
        for name in (entry.name, f"{entry.name}_file"):
            if name in table:
                self.given[dotted(*filter(None, (entry.section, name)))] = table[name]

    def _read_value(self, entry: Entry, value: object) -> None:
        try:
            read = entry.key.read(value, self.base)
        except Refused as refusal:
            self.complain_shown(entry, NOT_YET if entry.key.later else str(refusal) or entry.key.rule)
            return
        if entry.key.later and read != entry.default:
            self.complain_shown(entry, NOT_YET)
        else:
            self.values[entry.dotted] = read

    def _unknown(self, name: str, value: object) -> None:
        """Complain about a key that we do not know; its value stays unsaid, as it may be a misspelt secret."""
        kind = "table" if isinstance(value, dict) else "key"
        meant = None
        if self._suggested < MOST_SUGGESTIONS:
            self._suggested += 1
            meant = nearest(name, tuple(filter(None, sections())) if kind == "table" else known_names())
        self.complaints.append(Complaint(name, f"is an unknown {kind}", nearest=meant))
