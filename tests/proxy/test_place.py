"""When a host means the target."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.place import Place, authority_of, host_of

ONION = Place(b"target.onion", 80)
SITE = Place(b"site.example", 8443, tls=True)


class LocalPathTests(SynchronousTestCase):
    """D-56: URLs that lead to the target become paths, with one slash in front, whatever they look like."""

    def test_target(self) -> None:
        """Any scheme, case, port, user, and no way to another host."""
        for url, path in (
            (b"http://target.onion/a?b#c", b"/a?b#c"),
            (b"HTTP://Target.Onion/", b"/"),
            (b"https://target.onion:8443/a", b"/a"),
            (b"//target.onion/a", b"/a"),
            (b"\\\\target.onion\\a", b"/a"),
            (b"http:\\\\target.onion/a", b"/a"),
            (b"http:/target.onion/a", b"/a"),
            (b"http://user:pass@target.onion/a", b"/a"),
            (b"http://target.onion./a", b"/a"),
            (b"http://www.target.onion/a", b"/a"),
            (b"ws://target.onion/socket", b"/socket"),
            (b"http://target.onion", b"/"),
            (b"http://target.onion?x", b"/?x"),
            (b"http://target.onion#x", b"/#x"),
            (b"http://target.onion//evil.example/x", b"/evil.example/x"),
            (b"http://target.onion/\\evil.example/x", b"/evil.example/x"),
            (b"http://target.onion\\\\evil.example/x", b"/evil.example/x"),
            (b"http://target.onion/\t/evil.example/x", b"/evil.example/x"),
            (b"ht\ttp://target.onion//\tevil.example", b"/evil.example"),
            (b" http://target.onion/ ", b"/"),
        ):
            self.assertEqual(ONION.local_path(url), path, url)

    def test_elsewhere(self) -> None:
        """Other hosts, also those that only contain the name, and what is relative already."""
        for url in (
            b"http://nottarget.onion/",
            b"http://target.onion.evil.example/",
            b"mailto:x@target.onion",
            b"http://target.onion@evil.example/",
            b"/a",
            b"a",
            b"?a",
            b"",
            b"http:",
            b"http://evil.example/target.onion",
        ):
            self.assertIsNone(ONION.local_path(url), url)
            self.assertEqual(ONION.path_of(url), url)

    def test_below_a_clearnet_name(self) -> None:
        """What is below an onion is the same service; below another name it is another host."""
        self.assertIsNone(SITE.local_path(b"https://cdn.site.example/"))
        self.assertEqual(SITE.local_path(b"https://site.example/x"), b"/x")


class NameTests(SynchronousTestCase):
    """Hosts in other forms."""

    def test_authority(self) -> None:
        """A port is named unless it is the scheme's own."""
        self.assertEqual((ONION.authority, ONION.origin), (b"target.onion", b"http://target.onion"))
        self.assertEqual((SITE.authority, SITE.origin), (b"site.example:8443", b"https://site.example:8443"))

    def test_host_of(self) -> None:
        """User, port and closing dot do not belong to the host."""
        for authority, host in (
            (b"A.b:80", b"a.b"),
            (b"u:p@a", b"a"),
            (b"[::1]:80", b"[::1]"),
            (b"a.", b"a"),
            (b"", b""),
        ):
            self.assertEqual(host_of(authority), host)
        self.assertEqual(authority_of(b"https://u@a:1/x"), b"u@a:1")
        self.assertIsNone(authority_of(b"/x"))

    def test_mentions(self) -> None:
        """Whole names are replaced, parts of longer ones are not."""
        for text, replaced in (
            (b"at target.onion:80, TARGET.onion.", b"at me, me"),
            (b"a.b.target.onion/x", b"a.b.me/x"),
            (b"?to=http%3A%2F%2Ftarget.onion%2Fx", b"?to=http%3A%2F%2Fme%2Fx"),
        ):
            self.assertEqual(ONION.replaced(text, b"me"), replaced)
            self.assertTrue(ONION.mentioned_in(text))
        self.assertFalse(ONION.mentioned_in(b"target.example"))
        for text, replaced in (
            (b"cdn.site.example site.example:443 site.examples", b"cdn.site.example me site.examples"),
            (b"?to=http%3A%2F%2Fsite.example%2Fx", b"?to=http%3A%2F%2Fme%2Fx"),
        ):
            self.assertEqual(SITE.replaced(text, b"me"), replaced)
