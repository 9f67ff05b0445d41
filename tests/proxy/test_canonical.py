"""One form for all spellings of a path."""

from hypothesis import given, settings
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
    b"/__rustbalance/health/../x",
    b"/100%",
    b"/%zz",
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

    @settings(deadline=None, max_examples=300)
    @given(
        st.lists(st.sampled_from([b"/", b"..", b".", b"a", b"__rustbalance", b"health", b"?", b"Health"]), max_size=9)
    )
    def test_plain_targets_alike(self, parts: list[bytes]) -> None:
        """Whatever is canonically the path is near to it, so nothing that is answered may also be forwarded."""
        target = b"/" + b"".join(parts)
        if canonical(target) == PATH:
            self.assertTrue(comes_near(target, PATH), target)
