"""Content-Security-Policy."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.place import Place
from rustbalance.proxy.policy import rewrite_policy

PLACE = Place(b"target.onion", 80)


class PolicyTests(SynchronousTestCase):
    """D-56, D-57: sources on the target become sources on the visitor's host, and nothing else changes."""

    def test_sources(self) -> None:
        """Sources are compared as sources."""
        for policy, rewritten in (
            (
                b"default-src 'self' target.onion; img-src data: https:",
                b"default-src 'self' m.onion; img-src data: https:",
            ),
            (b"script-src HTTP://Target.onion:80/js/", b"script-src http://m.onion/js/"),
            (b"connect-src wss://target.onion https://target.onion:*", b"connect-src ws://m.onion http://m.onion"),
            (b"img-src *.target.onion cdn.target.onion", b"img-src *.m.onion m.onion"),
            (b"img-src nottarget.onion target.onion.example", b"img-src nottarget.onion target.onion.example"),
            (b"script-src 'nonce-target.onion'", b"script-src 'nonce-target.onion'"),
            (b"report-uri http://target.onion/csp; report-to group", b"report-uri /csp"),
            (b"frame-src a, frame-src target.onion", b"frame-src a, frame-src m.onion"),
            (b"", b""),
        ):
            self.assertEqual(rewrite_policy(policy, PLACE, b"m.onion"), rewritten)
