"""
The reference page of the configuration.

Owns: the text of ``docs/configuration.md``. In: the schema; out: every key with its type, default, rule and sentence.
``python -m rustbalance.config.reference > docs/configuration.md`` brings the page up to date.
"""

import sys
from collections.abc import Iterator

from rustbalance.config.outline import Entry, entries, sections
from rustbalance.config.writing import as_toml

HEAD = """\
# Configuration

One TOML file. `rustbalance init` writes one that starts as it is, and `rustbalance check-config FILE` lists everything
that is wrong with one. This page is made by `python -m rustbalance.config.reference` from the code that reads the file.

- Unknown keys are errors. Times are seconds. Relative paths start at the directory of the file.
- A secret `x` may be written in the file (`x = "…"`, one plain string; the file then needs mode 0600), or better:
  `x_file` names a file of mode 0600 that holds it, or systemd hands it over as a credential called like the key
  (`LoadCredential=tor.control_password:/etc/…`). Secrets are kept in locked memory and never shown.
- Keys marked *later* belong to features that this version does not have. They may stand there with their default;
  any other value is an error, so that nothing is silently ignored.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(line for section in sections() for line in _section(section))])


def _section(section: str) -> Iterator[str]:
    says = sections()[section].__doc__ if section else "At the top of the file, before the first table."
    yield f"## {f'[{section}]' if section else 'Top level'}"
    yield ""
    yield str(says)
    yield ""
    yield "| key | type | default | rule | |"
    yield "|---|---|---|---|---|"
    for entry in entries(section):
        yield _row(entry)
    yield ""


def _row(entry: Entry) -> str:
    says = f"*later:* {entry.key.says}" if entry.key.later else entry.key.says
    cells = (f"`{entry.dotted}`", entry.key.kind, _default(entry), entry.key.rule, says)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(entry: Entry) -> str:
    if entry.required:
        return "required"
    if entry.key.default is not None:
        return entry.key.default
    return "none" if entry.default is None else f"`{as_toml(entry.default)}`"


def main() -> None:
    """Print the page."""
    sys.stdout.write(page())


if __name__ == "__main__":
    main()
