"""Three answers, and the 404."""

import json
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.canary_page import CanaryPage, details
from rustbalance.health.proof import credentials, is_genuine, token_key
from rustbalance.proxy.pages import PAGES, answer_reserved
from rustbalance.proxy.request import parse_request
from rustbalance.proxy.resources import ResourceIntercept
from rustbalance.secrets import Secret
from tests.ops.statuses import cluster, node

TOKEN = b"optional-bearer-token"
KEY = token_key(Secret.copy_of(b"the key of the cluster"))
NONCE = bytes(16)
FIELDS = ((b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store"))


def asked(*fields: bytes, token: bytes | None = TOKEN, method: bytes = b"GET", path: bytes = b"/health") -> Any:
    """Return the answer to a request with these fields."""
    page = CanaryPage("primary", None if token is None else Secret.copy_of(token), lambda: [KEY], node, lambda: 0.0)
    lines = (method + b" " + path + b" HTTP/1.1", b"Host: m", *fields)
    return ResourceIntercept(b"/health", page, answer_reserved)(
        parse_request(b"".join(x + b"\r\n" for x in (*lines, b"")))
    )


class PageTests(SynchronousTestCase):
    """Who is told what."""

    def test_minimal(self) -> None:
        """Without a token everybody is told that it works, and nobody more."""
        for fields in ((), (b"Authorization: Bearer " + TOKEN,), (b"Authorization: RustBalance x y",)):
            answer = asked(*fields, token=None)
            self.assertEqual((answer.status, answer.body, answer.fields), (200, b'{"status":"ok"}', FIELDS))

    def test_details(self) -> None:
        """The right token brings the details, whatever the case of the scheme."""
        for scheme in (b"Bearer", b"bearer", b"BEARER "):
            answer = asked(b"Authorization: " + scheme + b" " + TOKEN)
            self.assertEqual((answer.status, answer.fields), (200, FIELDS))
            self.assertEqual(
                list(json.loads(answer.body).items()),
                [
                    ("status", "ok"),
                    ("node_id", "alpha"),
                    ("is_publisher", True),
                    ("uptime_secs", 61),
                    ("target_healthy", True),
                    ("last_publish_age_secs", 7),
                    ("active_peers", 0),
                    ("instance", "primary"),
                ],
            )

    def test_twin(self) -> None:
        """No token, a wrong one, two, another scheme: to the byte what an unknown path of ours gets."""
        right = b"Authorization: Bearer " + TOKEN
        for fields in (
            (),
            (b"Authorization: Bearer",),
            (b"Authorization: Bearer " + TOKEN[:-1],),
            (b"Authorization: Bearer " + TOKEN[:-1] + b"N",),
            (b"Authorization: Basic " + TOKEN,),
            (b"Authorization: " + TOKEN,),
            (right, right),
            (b"Authorization: " + credentials(token_key(Secret.copy_of(b"another cluster")), NONCE),),
        ):
            for method in (b"GET", b"HEAD"):
                twin = asked(*fields, method=method, path=b"/.rb/unknown")
                self.assertEqual(asked(*fields, method=method), twin)
                self.assertEqual(twin, PAGES[404])

    def test_visit_of_the_cluster(self) -> None:
        """Who proves to be of the cluster learns who answers, provably, with and without a token; and no more."""
        for token in (TOKEN, None):
            answer = asked(b"Authorization: " + credentials(KEY, NONCE), token=token)
            self.assertEqual(json.loads(answer.body), {"status": "ok", "node_id": "alpha", "instance": "primary"})
            self.assertEqual(answer.fields[:2], FIELDS)
            name, proof = answer.fields[2]
            self.assertEqual(name, b"Authentication-Info")
            self.assertTrue(is_genuine([proof], KEY, NONCE, answer.body))

    def test_below(self) -> None:
        """There is nothing below the page."""
        self.assertEqual(asked(b"Authorization: Bearer " + TOKEN, path=b"/health/x"), PAGES[404])


class DetailsTests(SynchronousTestCase):
    """What the figures say."""

    def test_never_published(self) -> None:
        """The age is null before the first publish, and where another node publishes."""
        for descriptors in ((), tuple(replace(one, age_secs=None) for one in node().descriptors)):
            self.assertIsNone(details(node(descriptors=descriptors), "primary").last_publish_age_secs)

    def test_publisher(self) -> None:
        """In a cluster it is who has the lease."""
        for publisher, expected in (("alpha", True), ("beta", False), (None, False)):
            found = details(node(cluster=cluster(publisher=publisher, beta="healthy")), "primary")
            self.assertEqual(found.is_publisher, expected)
        self.assertFalse(details(node(descriptors=()), "primary").is_publisher)

    def test_peers(self) -> None:
        """Peers are the others that are heard."""
        states = {
            "beta": "healthy",
            "gamma": "unhealthy",
            "delta": "dead",
            "epsilon": "joining",
            "zeta": "initializing",
        }
        self.assertEqual(details(node(cluster=cluster(**states)), "primary").active_peers, 3)

    def test_target(self) -> None:
        """The target is healthy until it was found not to answer."""
        for healthy, expected in ((None, True), (True, True), (False, False)):
            proxy = replace(node().proxy, target_healthy=healthy)
            self.assertIs(details(node(proxy=proxy), "primary").target_healthy, expected)
