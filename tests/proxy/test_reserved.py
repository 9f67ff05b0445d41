"""Paths that never reach the target."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.reserved import is_reserved


class ReservedTests(SynchronousTestCase):
    """D-42: the join path and all that resembles it."""

    def test_reserved(self) -> None:
        """Every spelling that some server would take for the same path."""
        for target in (
            b"/.rb/secret",
            b"/.rb/",
            b"/.rb",
            b"/.rb?x",
            b"//.rb/secret",
            b"/./.rb/secret",
            b"/x/../.rb/secret",
            b"/%2erb/secret",
            b"/%2Erb/secret",
            b"/.%72b/secret",
            b"/%2e%72%62%2fsecret",
            b"/%252erb/secret",
            b"/%25252erb/secret",
            b"/.rb%2fsecret",
            b"/.rb%2Fsecret",
            b"/x/%2e%2e/.rb/secret",
            b"/x/..%2f.rb/secret",
            b"/\\.rb\\secret",
            b"/x\\..\\.rb/secret",
            b"/.RB/secret",
            b"/.rb;a=b/secret",
            b"/;a/.rb/secret",
            b"/x/..;/.rb/secret",
            b"/.rb%3fx",
            b"/.rb%23x",
            b"/.rb%00/secret",
            b"/.rb%20/secret",
            b"/a//../.rb/x",
            b"///.rb///secret",
            b"/../.rb/x",
            b"/.rb/secret/../../x",
            b"/%c0%ae%72b/secret",
            b"//m.onion/.rb/secret",
            b"/./x/.././/.rb/x",
            b"/%5c.rb%5csecret",
            b"/%" + b"25" * 20 + b"2erb",
        ):
            self.assertTrue(is_reserved(target), target)

    def test_others(self) -> None:
        """Everything else is the target's."""
        for target in (
            b"/",
            b"*",
            b"/rb/x",
            b"/.rbx/",
            b"/x/.rb/y",
            b"/x?/.rb/",
            b"/%2frb",
            b"/..rb/",
            b"/%zz",
            b"/.r",
            b"/100%",
            b"/a%20b/%25",
            b"/__rustbalance/health",
        ):
            self.assertFalse(is_reserved(target), target)

    @settings(deadline=None, max_examples=300)
    @given(st.data())
    def test_spellings(self, data: st.DataObject) -> None:
        """Escapes and detours put in anywhere do not lead past."""
        path = b""
        for byte in b".rb/secret":
            spelling = data.draw(st.sampled_from([b"%c", b"%%%02x", b"%%%02X", b"%%25%02x"]))
            path += spelling % byte
        detour = data.draw(
            st.sampled_from([b"/", b"//", b"/./", b"/x/../", b"/%2e/", b"/a/b/../../", b"/x/%2e%2e/", b"\\"])
        )
        self.assertTrue(is_reserved(detour + path), detour + path)
