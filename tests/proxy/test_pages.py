"""What we answer ourselves."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.pages import PAGES, REASONS, LocalAnswer, answer_reserved
from rustbalance.proxy.request import parse_request
from tests.proxy.test_request import head


class PageTests(SynchronousTestCase):
    """D-58: pages that tell nothing."""

    def test_every_page(self) -> None:
        """Each is small, names its status, and neither us nor the target nor the time."""
        self.assertEqual(set(PAGES), {400, 404, 413, 414, 431, 501, 502, 503, 504})
        for status, page in PAGES.items():
            text = page.render(close=True)
            lines, _, body = text.partition(b"\r\n\r\n")
            self.assertTrue(lines.startswith(b"HTTP/1.1 %d %b\r\n" % (status, REASONS[status])))
            self.assertIn(b"\r\nContent-Length: %d" % len(body), lines)
            self.assertLess(len(text), 400)
            for word in (b"rust", b"balance", b"twisted", b"server:", b"date:", b"via:", b"onion"):
                self.assertNotIn(word, text.lower())

    def test_render(self) -> None:
        """HEAD gets the head only, and Connection says what follows."""
        page = LocalAnswer(200, b"OK", ((b"X-A", b"b"),), b"body")
        self.assertEqual(page.render(close=False), b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody")
        self.assertEqual(
            page.render(close=True, body=False),
            b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\nConnection: close\r\n\r\n",
        )

    def test_reserved(self) -> None:
        """D-42: reserved paths are a plain 404, in the absolute form as well; others are not ours."""
        for line in (b"POST /.rb/secret HTTP/1.1", b"GET http://m/%2erb/x HTTP/1.1"):
            self.assertIs(answer_reserved(parse_request(head(line, b"Host: m"))), PAGES[404])
        self.assertIsNone(answer_reserved(parse_request(head(b"GET / HTTP/1.1", b"Host: m"))))
