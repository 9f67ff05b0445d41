"""
Content-Security-Policy on its way to the visitor.

Owns: the sources that name the target (CSP Level 3, section 2.3.1). In: the field's value; out: the value with those
sources turned to the visitor's host. Pure. Sources are compared as sources, not as text (D-57).
"""

import re

from rustbalance.proxy.place import Place, host_of

_SOURCE = re.compile(
    rb"(?:([a-z][a-z0-9+.\-]*)://)?((?:\*\.)?[a-z0-9.\-_]+|\[[0-9a-f:.]+\])(:(?:[0-9]+|\*))?(/.*)?", re.I
)
#: Where reports would go by the name of a group in Report-To, which we drop.
_DROPPED = {b"report-to"}


def rewrite_policy(value: bytes, place: Place, name: bytes) -> bytes:
    """Return the policy with ``name`` for every source on the target; several policies are divided by commas."""
    return b",".join(_policy(policy, place, name) for policy in value.split(b","))


def _policy(policy: bytes, place: Place, name: bytes) -> bytes:
    kept = [part for part in policy.split(b";") if part.split()[:1] == [] or part.split()[0].lower() not in _DROPPED]
    return b";".join(_directive(part, place, name) for part in kept)


def _directive(directive: bytes, place: Place, name: bytes) -> bytes:
    words = directive.split(b" ")
    is_report = directive.split()[:1] != [] and directive.split()[0].lower() == b"report-uri"
    return b" ".join(place.path_of(word) if is_report else _source(word, place, name) for word in words)


def _source(word: bytes, place: Place, name: bytes) -> bytes:
    """``http://target:8080/x`` becomes ``http://name/x``: a policy has no form for "this host" with a path."""
    found = _SOURCE.fullmatch(word)
    if found is None or not place.is_named(found[2].removeprefix(b"*.")):
        return word
    any_below = b"*." if found[2].startswith(b"*.") and host_of(found[2][2:]) == place.host else b""
    scheme = _plain(found[1].lower()) + b"://" if found[1] else b""
    return scheme + any_below + name + (found[4] or b"")


def _plain(scheme: bytes) -> bytes:
    """Visitors come without TLS of ours: an onion service has its own."""
    return {b"https": b"http", b"wss": b"ws"}.get(scheme, scheme)
