"""
The names by which the target goes.

Owns: when a host in a header means the target, and what stands there instead. In: the target's host and port; out:
``Place``, which the header rules ask. Pure.

A host is compared as a host, never as a piece of text (D-56): in any case, with or without a closing dot, on any port.
A name under an onion address counts as the same place, since it leads to the same service.
"""

import re
from dataclasses import dataclass
from functools import cached_property

_AUTHORITY = re.compile(rb"(?:.*@)?(\[[^\]]*\]|[^:@]*)(?::([0-9]*))?", re.DOTALL)
_ABSOLUTE = re.compile(rb"(?:(?:https?|wss?):[/\\]*+|[/\\]{2,}+)([^/\\?#]*+)(.*)", re.IGNORECASE | re.DOTALL)
DEFAULT_PORTS = {False: 80, True: 443}


@dataclass(frozen=True)
class Place:
    """``host`` in lower case, an IPv6 address in brackets; ``preserve``: the target sees the visitor's Host."""

    host: bytes
    port: int
    tls: bool = False
    preserve: bool = False

    @cached_property
    def authority(self) -> bytes:
        """The host, with the port where it is not the scheme's own."""
        return self.host if self.port == DEFAULT_PORTS[self.tls] else b"%b:%d" % (self.host, self.port)

    @cached_property
    def origin(self) -> bytes:
        """What the target would call itself in Origin (RFC 6454)."""
        return (b"https://" if self.tls else b"http://") + self.authority

    def is_named(self, authority: bytes) -> bool:
        """Say whether ``authority``, as it stands in a URL, means the target."""
        host = host_of(authority)
        return host == self.host or (self._is_onion and host.endswith(b"." + self.host))

    def local_path(self, url: bytes) -> bytes | None:
        r"""
        Return the path of an absolute ``url`` that leads to the target, None for any other.

        It starts with exactly one slash, whatever the URL has: ``//evil`` would be another host (D-56). Tabs go, since
        browsers drop them; a backslash is a slash to browsers.
        """
        found = _ABSOLUTE.fullmatch(url.replace(b"\t", b"").strip(b" "))
        if found is None or not self.is_named(found[1]):
            return None
        rest = found[2]
        return b"/" + (rest.lstrip(b"/\\") if rest[:1] in (b"/", b"\\") else rest)

    def path_of(self, url: bytes) -> bytes:
        """Return ``url``, reduced to its path when it leads to the target."""
        path = self.local_path(url)
        return url if path is None else path

    def mentioned_in(self, text: bytes) -> bool:
        """Say, quickly, whether the host may stand somewhere in ``text``."""
        return self.host in text.lower()

    def replaced(self, text: bytes, name: bytes) -> bytes:
        """Return ``text`` with ``name`` for every mention of the host and its port."""
        return self._mention.sub(lambda _: name, text)

    @cached_property
    def _is_onion(self) -> bool:
        return self.host.endswith(b".onion")

    @cached_property
    def _mention(self) -> re.Pattern[bytes]:
        """An onion's name is unmistakable anywhere; another one counts as a whole only, also behind ``%2F``."""
        before = rb"" if self._is_onion else rb"(?:(?<=%[0-9a-f]{2})|(?<![a-z0-9._-]))"
        behind = rb"" if self._is_onion else rb"(?![a-z0-9_-])"
        return re.compile(
            before + re.escape(self.host) + rb"(?:\.(?![a-z0-9]))?(?::[0-9]{1,5})?" + behind, re.IGNORECASE
        )


def host_of(authority: bytes) -> bytes:
    """Return the host in ``authority`` (``user@HOST:port``), in lower case and without a closing dot."""
    found = _AUTHORITY.fullmatch(authority)
    return (found[1] if found else authority).lower().removesuffix(b".")


def authority_of(url: bytes) -> bytes | None:
    """Return what stands between ``//`` and the path of an absolute URL, None for any other."""
    found = _ABSOLUTE.fullmatch(url)
    return None if found is None else found[1]
