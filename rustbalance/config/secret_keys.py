"""
Where the secrets of the configuration come from.

Owns: the choice between a value in the file, ``x_file`` and a systemd credential. In: a draft and the values that were
cut out of the text; out: ``Secret`` by dotted name, complaints added to the draft. No complaint shows a value.

A credential is a file called like the key (``tor.control_password``) in ``$CREDENTIALS_DIRECTORY``, as LoadCredential=
of systemd.exec(5) puts it there.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from rustbalance.config.addresses import absolute
from rustbalance.config.complaints import Refused
from rustbalance.config.draft import NOT_YET, Draft
from rustbalance.config.outline import Entry, every_entry
from rustbalance.config.surroundings import private_file_fault
from rustbalance.secret_files import SecretFileError, read_secret
from rustbalance.secrets import Secret


def fetch_secrets(draft: Draft, inline: Mapping[str, Secret], credentials: Path | None) -> dict[str, Secret]:
    """Return the secrets that are given, wherever they are; ``credentials`` is the directory of systemd's."""
    found: dict[str, Secret] = {}
    for entry in every_entry():
        if entry.key.secret:
            try:
                secret = _fetch(entry, draft, inline, credentials)
            except Refused as refusal:
                draft.complain(entry.dotted, str(refusal))
            else:
                if secret is not None:
                    found[entry.dotted] = secret
                    _check(entry, draft, secret)
    return found


def _check(entry: Entry, draft: Draft, secret: Secret) -> None:
    """See that a secret keeps its own rule; that it is there at all is what rules between keys ask for."""
    draft.held.add(entry.dotted)
    if entry.key.check is not None:
        try:
            entry.key.check(secret)
        except Refused as refusal:
            draft.complain(entry.dotted, str(refusal) or entry.key.rule)


def _fetch(entry: Entry, draft: Draft, inline: Mapping[str, Secret], credentials: Path | None) -> Secret | None:
    name, in_file = entry.dotted, f"{entry.dotted}_file"
    credential = credentials / name if credentials is not None else None
    offered = credential is not None and os.path.isfile(credential)
    places = [name in inline or name in draft.given, in_file in draft.given, offered]
    if not any(places):
        return None
    if entry.key.later:
        raise Refused(NOT_YET)
    if sum(places) > 1:
        raise Refused("is given more than once: in the file, by the _file key, or as a credential; keep one")
    if in_file in draft.given:
        return _not_empty(_from_file(draft, in_file, credentials))
    if offered and credential is not None:
        return _not_empty(_read(credential, private=False))
    if name not in inline:
        raise Refused(entry.key.rule)
    return _not_empty(inline[name])


def _from_file(draft: Draft, name: str, credentials: Path | None) -> Secret:
    """Read the file that ``x_file`` names. The name itself is not shown: it may be the secret, put there by mistake."""
    text = draft.given[name]
    if not isinstance(text, str):
        raise Refused("its _file key must be a path in double quotes")
    path = absolute(text, draft.base)
    if credentials is not None and path.is_relative_to(credentials):
        return _read(path, private=False)
    fault = private_file_fault(path)
    if fault is not None:
        raise Refused(f"its _file key {fault}")
    return _read(path, private=True)


def _read(path: Path, *, private: bool) -> Secret:
    try:
        return read_secret(path, private=private)
    except SecretFileError as error:
        raise Refused(f"its file {error.rule}") from None


def _not_empty(secret: Secret) -> Secret:
    """Absent and empty are not the same: an empty secret would be one that everybody knows."""
    if len(secret) == 0:
        raise Refused("must not be empty; leave it out if there is none")
    return secret
