"""
What the machine must have for a configuration to work.

Owns: looking at the files and programs that keys name. In: a draft; out: complaints added to it. Nothing is changed,
and nothing secret is read: the key file is only looked at from outside.
"""

import os
import shutil
import stat
from pathlib import Path

from rustbalance.config.crosschecks import draft_value
from rustbalance.config.draft import Draft
from rustbalance.config.tors import has_children

#: Sizes of a seed, an expanded key and Tor's key file, in bytes.
KEY_SIZES = (32, 64, 96)


def look_around(draft: Draft) -> None:
    """Check all that this module owns."""
    _key_file(draft)
    _state_directory(draft)
    _tor_program(draft)


def private_file_fault(path: Path) -> str | None:
    """Say what keeps ``path`` from being a file that only its owner reads; None when nothing does."""
    try:
        found = path.stat()
    except OSError as error:
        return f"must name a file that exists and can be reached ({error.strerror})"
    if not stat.S_ISREG(found.st_mode):
        return "must name a regular file"
    if found.st_mode & 0o077:
        return f"must name a file of mode 0600, not {stat.S_IMODE(found.st_mode):04o}: chmod 600 it"
    return None if os.access(path, os.R_OK) else f"must name a file that user id {os.geteuid()} may read"


def _key_file(draft: Draft) -> None:
    name = "master.identity_key_path"
    path = draft.values.get(name)
    if path is None:
        return
    fault = private_file_fault(path)
    if fault is None and path.stat().st_size not in KEY_SIZES:
        fault = f"must name a key of 32, 64 or 96 bytes; this file has {path.stat().st_size}"
    if fault is not None:
        draft.complain(name, fault, draft_value(draft, name))


def _state_directory(draft: Draft) -> None:
    """A directory that is not there yet will be made."""
    path = draft.values.get("state_dir")
    if path is None or not os.path.exists(path):
        return
    found = path.stat()
    if not stat.S_ISDIR(found.st_mode):
        draft.complain("state_dir", "must be a directory", draft_value(draft, "state_dir"))
    elif found.st_mode & 0o077:
        rule = f"must have mode 0700, not {stat.S_IMODE(found.st_mode):04o}: chmod 700 it"
        draft.complain("state_dir", rule, draft_value(draft, "state_dir"))


def _tor_program(draft: Draft) -> None:
    program = draft.values.get("tor.binary")
    if not has_children(draft) or program is None or shutil.which(program) is not None:
        return
    rule = f"must be a program that can be run; {program} is none: install tor, or give its path"
    draft.complain("tor.binary", rule, draft_value(draft, "tor.binary"))
