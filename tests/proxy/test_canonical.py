"""One form for all spellings of a path."""

import ntpath
import posixpath
import re
from collections.abc import Callable, Iterator
from itertools import permutations, product
from urllib.parse import quote, unquote_to_bytes, urlsplit

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.canonical import canonical, comes_near
from rustbalance.proxy.request import parse_request

PATH = b"/__rustbalance/health"
SAME = (
    b"/__rustbalance/health",
    b"/__rustbalance/health?x=/y",
    b"/%5f%5Frustbalance/%68ealth",
    b"//__rustbalance///health",
    b"/./__rustbalance/./health",
    b"/x/../__rustbalance/y/%2e%2E/health",
    b"/../__rustbalance/health",
    b"/%2e%2e/__rustbalance/health",
    b"/__rustbalance/x//../health",
    b"/x\\y/../__rustbalance/health",
    b"/%3f%5c/../__rustbalance/health",
    b"/x%2fy/../%5f_rustbalance/health",
)
NEAR = (
    b"/__rustbalance/health/",
    b"/__rustbalance/health/x",
    b"/__rustbalance/health/.",
    b"/__RustBalance/Health",
    b"/__rustbalance%2fhealth",
    b"/__rustbalance%2Fhealth",
    b"/%255f_rustbalance/health",
    b"/%25255f_rustbalance/health",
    b"/__rustbalance\\health",
    b"/__rustbalance%5chealth",
    b"/__rustbalance;v=1/health",
    b"/__rustbalance/health;jsessionid=1",
    b"/__rustbalance/health%3fx",
    b"/__rustbalance/health%23x",
    b"/__rustbalance/health%00",
    b"/__rustbalance/health%00.png",
    b"/__rustbalance/health%20",
    b"/__rustbalance%09/health",
    b"/%0A__rustbalance%0b/%0dhealth%0C",
    b"/__rustbalance/health%20%3Fx",
    b"/%0a/__rustbalance/health",
    b"/__rustbalance//x//../../health",
    b"/x/..;/__rustbalance/health",
    b"/%" + b"25" * 20 + b"5f_rustbalance/health",
    b"/__rustbalance%c0%afhealth",
    b"/__rustbalance/%c1%a8ealth",
    b"/__rustbalance%c1%1chealth",
    b"/__rustbalance/%e0%81%a8ealth",
    b"/__rustbalance/%f0%80%81%a8ealth",
    b"/__rustbalance%u002fhealth",
    b"/__rustbalance%uff0Fhealth",
    b"/__rustbalance/%EF%BD%88ealth",
    b"/__rustbalance/hea%E2%80%8Clth",
    b"/__ru%C5%BFtbalance/health",
    b"//m.onion/__rustbalance/health",
    b"//user@m.onion:80/x/../__rustbalance/health",
    b"/%2fm.onion/__rustbalance/health",
    b"/\\m.onion\\__rustbalance\\health",
    b"/__rustbalance./health",
    b"/__rustbalance/health.%20.",
    b"/__rustbalance::$INDEX_ALLOCATION/health",
    b"/__rustbalance/health::$DATA",
    b"/__rustbalance/health/../x",
    b"/__rustbalance/health/secret/../../..",
)
OTHER = (
    b"/",
    b"*",
    b"/__rustbalance",
    b"/__rustbalance/",
    b"/__rustbalance/healthx",
    b"/__rustbalance/healt",
    b"/x/__rustbalance/health",
    b"/health",
    b"/x?/__rustbalance/health",
    b"/100%",
    b"/%zz",
    b"/m.onion/__rustbalance/health",
    b"/wiki/Category:Health",
    b"/%u0041",
    b"/%C3%A9t%C3%A9/%E2%82%AC",
    b"/%ff%fe/%c0",
    b"/...",
    b"/a.b./c",
    b"//cdn/__rustbalance",
)


class CanonicalTests(SynchronousTestCase):
    """RFC 3986 section 6.2.2, doubled slashes, and nothing else."""

    def test_same(self) -> None:
        """What differs only in the named ways is the same path, and the query does not belong to it."""
        for target in SAME:
            self.assertEqual(canonical(target), PATH, target)

    def test_not_the_same(self) -> None:
        """What only some servers take for the path is another one."""
        for target in (*NEAR, *OTHER):
            self.assertNotEqual(canonical(target), PATH, target)

    def test_absolute_form(self) -> None:
        """The absolute form has become a path before it gets here."""
        for line in (b"GET http://m.onion%b HTTP/1.1", b"GET HTTP://M.onion%b HTTP/1.1"):
            request = parse_request(line % PATH + b"\r\nHost: m.onion\r\n\r\n")
            self.assertEqual(canonical(request.target), PATH)

    def test_rest(self) -> None:
        """Escapes that stay have capital digits; RFC 3986's own example of dot segments; ends that are directories."""
        for target, wanted in (
            (b"/a%2fb%c3%bc", b"/a%2Fb%C3%BC"),
            (b"/a/b/c/./../../g", b"/a/g"),
            (b"/a/..", b"/"),
            (b"/a/b/.", b"/a/b/"),
            (b"/.", b"/"),
            (b"/%252e", b"/%252e"),
            (b"/...", b"/..."),
        ):
            self.assertEqual(canonical(target), wanted)

    @settings(deadline=None, max_examples=300)
    @given(st.lists(st.sampled_from([b"/", b".", b"..", b"a", b"%2e", b"%2f", b"%41", b"?", b"%"]), max_size=8))
    def test_once_is_enough(self, parts: list[bytes]) -> None:
        """The canonical form has itself for its canonical form, except where an escape decodes to one."""
        path = canonical(b"/" + b"".join(parts))
        if b"%" not in path:
            self.assertEqual(canonical(path), path)


#: Of these a path to the canary may be made, or not.
LEGS = (b"/", b"/", b"..", b".", b"a", b"__rustbalance", b"%5f_rustbalance", b"%68ealth", b"health", b"?", b"Health")


class NearTests(SynchronousTestCase):
    """What some server might take for the path."""

    def test_near(self) -> None:
        """Every spelling of it, canonical or not, and what is below it."""
        for target in (*SAME, *NEAR):
            self.assertTrue(comes_near(target, PATH), target)

    def test_other(self) -> None:
        """Everything else is the target's, also the branch that the path is on."""
        for target in OTHER:
            self.assertFalse(comes_near(target, PATH), target)

    @settings(deadline=None, max_examples=300)
    @given(st.data())
    def test_spellings(self, data: st.DataObject) -> None:
        """Escapes, detours and capitals put in anywhere do not lead past."""
        target = b""
        for byte in PATH[1:]:
            if byte == ord("/"):
                target += data.draw(st.sampled_from([b"/", b"//", b"\\", b"%2f", b"%252F", b"/x/../", b"/./", b";a/"]))
            else:
                target += data.draw(st.sampled_from([b"%c", b"%%%02x", b"%%%02X", b"%%25%02x"])) % byte
        target = data.draw(st.sampled_from([b"/", b"//", b"/a/../", b"/%2e/", b"\\"])) + target
        self.assertTrue(comes_near(target, PATH), target)

    @settings(deadline=None, max_examples=600)
    @given(st.lists(st.sampled_from([*LEGS, b"%2f", b"%2e", b"\\", b"%5c", b";", b"%"]), max_size=9))
    @example([b"a", b"%2f", b"a", b"/", b"..", b"/", b"%5f_rustbalance", b"/", b"health"])
    def test_canonical_targets_alike(self, parts: list[bytes]) -> None:
        """Whatever is canonically the path is near to it, so nothing that is answered may also be forwarded."""
        target = b"/" + b"".join(parts)
        if canonical(target) == PATH:
            self.assertTrue(comes_near(target, PATH), target)


Reading = Callable[[bytes], bytes]


def with_a_host(path: bytes) -> bytes:
    """Return the path as the standard library reads it: between two slashes and a third one there is a host."""
    try:
        return urlsplit(path).path
    except ValueError:
        return path


def of_windows(path: bytes) -> bytes:
    """Return the path as a server on Windows opens it."""
    path = re.sub(rb"[. ]+(?=[/\\\\]|$)", b"", re.sub(rb":[^/\\\\]*", b"", path))
    return ntpath.normpath(path).replace(b"\\", b"/").lower()


#: What servers do to a path, each in its own way; the standard library does the work wherever it can.
STEPS: tuple[Reading, ...] = (
    unquote_to_bytes,
    posixpath.normpath,
    with_a_host,
    lambda path: re.sub(rb"/+", b"/", path),
    lambda path: path.replace(b"\\", b"/"),
    lambda path: re.sub(rb";[^/]*", b"", path),
    lambda path: re.split(rb"[?#\0]", path)[0],
    lambda path: re.sub(rb"[ \t\r\n]*(/|$)[ \t\r\n]*", rb"\1", path),
    bytes.lower,
)
#: A server does some of it, in some order; then it looks the file or the route up.
SERVERS: tuple[tuple[Reading, ...], ...] = (
    *permutations(STEPS, 2),
    *((unquote_to_bytes, first, second) for first, second in permutations(STEPS, 2)),
    (unquote_to_bytes, unquote_to_bytes, unquote_to_bytes),
)
PIECES = (
    b"/", b"/", b"//", b".", b"..", b"/../", b"/./", b"\\", b";", b";x", b"%", b"25", b"%2f", b"%2e", b"%5c", b"%3f",
    b"%20", b"%00", b"%252f", b"x", b"m.onion", b".rb", b".RB", b"%2erb", b".%72b", b"rb", b"secret", b"?", b"%3b",
    b"+", b":",
)  # fmt: skip


def readings(target: bytes) -> Iterator[bytes]:
    """Yield what servers may make of a target."""
    for server in SERVERS:
        path = target.partition(b"?")[0]
        for step in server:
            path = step(path)
        yield path
    yield of_windows(unquote_to_bytes(target.partition(b"?")[0]))


class ServersTests(SynchronousTestCase):
    """Against what other people's code makes of a path."""

    @settings(deadline=None, max_examples=600)
    @given(st.lists(st.sampled_from(PIECES), max_size=9))
    @example([b"/", b"/m.onion", b"/", b"%2erb"])
    @example([b"/", b"%2e", b"rb", b"%20"])
    def test_no_server_is_led_to_it(self, pieces: list[bytes]) -> None:
        """Whatever any of them would take for the path, or for something below it, is near."""
        target = b"/" + b"".join(pieces)
        for path in readings(target):
            if path == b"/.rb" or path.startswith(b"/.rb/"):
                self.assertTrue(comes_near(target, b"/.rb"), f"{target!r} as {path!r}")

    @settings(deadline=None, max_examples=600)
    @given(st.lists(st.text(min_size=1, max_size=8), max_size=6), st.booleans())
    @example(["é", "名前", "a b", "100%", "x;y", "C:", "..."], True)
    def test_no_other_path_is_kept_back(self, names: list[str], slash: bool) -> None:
        """A path of ordinary names, escaped as browsers do, goes to the target unless its first name is ours."""
        safe = [name for name in names if name.strip(". ") and "/" not in name]
        kept = [name for name in safe if comes_near(spelled([name], slash=False), b"/.rb")]
        found = comes_near(spelled(safe, slash=slash), b"/.rb")
        if not kept:
            self.assertFalse(found, safe)

    def test_words(self) -> None:
        """What sites really have is left alone."""
        words = [
            "index.html",
            "wp-admin",
            ".well-known",
            "a.b.c",
            "2024",
            "%E4%BD%A0",
            "x~y",
            "q=1",
            "rb",
            "r.b",
            ".rbx",
        ]
        words += ["x.rb", ".r", ".git", "@me", "C:", "jsessionid;x", "a%20b", "a%2520b"]
        for first, second in product(words, words):
            for end in ("", "/", "?a=/.rb/x", "/.rb", "/.rb/x"):
                target = f"/{first}/{second}{end}".encode()
                self.assertFalse(comes_near(target, b"/.rb"), target)


def spelled(names: list[str], *, slash: bool) -> bytes:
    """Return the path of these names as a browser would spell it."""
    return ("/" + "/".join(quote(name, safe="") for name in names) + ("/" if slash and names else "")).encode()
