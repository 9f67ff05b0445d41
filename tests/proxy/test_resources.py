"""Resources among the requests of visitors."""

from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.heads import MalformedMessage
from rustbalance.proxy.pages import PAGES, LocalAnswer, answer_reserved
from rustbalance.proxy.request import parse_request
from rustbalance.proxy.resources import Branch, ResourceIntercept
from tests.proxy.test_canonical import NEAR, OTHER, PATH, SAME
from tests.proxy.wire import ProxyCase


class Page(Branch):
    """Says what it was asked; C{body} is what it returns."""

    body: Any = b"a page"

    def render_GET(self, request: Any) -> bytes:
        """Answer."""
        request.setHeader(b"x-method", request.method)
        request.setHeader(b"x-name", request.requestHeaders.getRawHeaders(b"name", [b"nobody"])[0])
        if self.body is None:
            raise RuntimeError("on purpose")
        return self.body  # type: ignore[no-any-return]


def asked(target: bytes, method: bytes = b"GET", page: Branch | None = None) -> Any:
    """Return what becomes of a request."""
    head = method + b" " + target + b" HTTP/1.1\r\nHost: m\r\nName: somebody\r\n\r\n"
    return ResourceIntercept(PATH, page or Page(), answer_reserved)(parse_request(head))


class ResourceTests(SynchronousTestCase):
    """One page at one path."""

    def test_page(self) -> None:
        """Each spelling of the path gets the page, as the resource has made it; HEAD gets the same."""
        for target in SAME:
            for method in (b"GET", b"HEAD"):
                fields = ((b"X-Method", method), (b"X-Name", b"somebody"))
                self.assertEqual(asked(target, method), LocalAnswer(200, b"OK", fields, b"a page"))

    def test_absolute_form(self) -> None:
        """The absolute form is the same request."""
        self.assertEqual(asked(b"http://m" + PATH).status, 200)
        self.assertEqual(asked(b"http://m/x/..%2f" + PATH[1:]), PAGES[404])

    def test_near_misses(self) -> None:
        """What comes near gets the plain 404, to the byte."""
        for target in NEAR:
            found = asked(target)
            self.assertEqual(found, PAGES[404], target)
            self.assertEqual(found.render(close=False), PAGES[404].render(close=False))

    def test_methods(self) -> None:
        """Only GET and HEAD are answered; nothing else is forwarded either."""
        for method in (b"POST", b"PUT", b"OPTIONS", b"DELETE", b"FOO"):
            self.assertEqual(asked(PATH, method), PAGES[404])

    def test_every_way_of_asking(self) -> None:
        """Whatever the method, the version and the form: what is near is answered here, or refused as no request."""
        methods = (b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"PROPFIND", b"get")
        places = (b"", b"http://m", b"HTTP://M", b"https://m", b"http://m:80", b"http://user@m", b"http:", b"m")
        heads = product(methods, places, (*SAME, *NEAR), (b"1.0", b"1.1"))
        answered = 0
        for method, place, target, version in heads:
            head = method + b" " + place + target + b" HTTP/" + version + b"\r\nHost: m\r\n\r\n"
            try:
                request = parse_request(head)
            except MalformedMessage as error:
                self.assertEqual(error.status, 400, head)
                continue
            found = ResourceIntercept(PATH, Page(), answer_reserved)(request)
            assert isinstance(found, LocalAnswer), head
            page = target in SAME and method in (b"GET", b"HEAD")
            self.assertEqual(found.body if page else found, b"a page" if page else PAGES[404], head)
            answered += 1
        self.assertGreaterEqual(answered, 4 * len(methods) * 2 * len((*SAME, *NEAR)))

    def test_others(self) -> None:
        """The rest goes on: to the target, or to what is asked next."""
        for target in OTHER:
            self.assertIsNone(asked(target, b"OPTIONS" if target == b"*" else b"GET"), target)
        self.assertEqual(asked(b"/.rb/x"), PAGES[404])

    def test_page_that_breaks(self) -> None:
        """A page that cannot be made is a 503 and a line in the log, and so is one that is not there at once."""
        for body in (None, 1):
            page = Page()
            page.body = body
            self.assertEqual(asked(PATH, page=page), PAGES[503])
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError, TypeError)), 1)


class WireTests(ProxyCase):
    """The same between real sockets."""

    async def test_nothing_is_forwarded(self) -> None:
        """Neither the page's requests nor the near misses reach the target; all others do, as they are."""
        origin = self.origin()
        front = self.front(origin, intercept=ResourceIntercept(PATH, Page(), answer_reserved))
        for target in (*SAME, *NEAR, b"http://m" + PATH, b"HTTP://m//__rustbalance//health"):
            status, _, _ = await self.ask(front, b"GET " + target + b" HTTP/1.1\r\nHost: m\r\n\r\n")
            self.assertEqual(status, 404 if target in NEAR else 200, target)
        for request in (
            b"POST %b HTTP/1.1\r\nHost: m\r\nContent-Length: 3\r\n\r\nabc",
            b"POST %b HTTP/1.1\r\nHost: m\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            b"PUT %b HTTP/1.1\r\nHost: m\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"OPTIONS %b HTTP/1.1\r\nHost: m\r\n\r\n",
            b"GET %b HTTP/1.0\r\n\r\n",
            b"GET %b HTTP/1.1\r\nHost: m\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ):
            for target in (NEAR[0], b"/.rb/x", b"//m/.rb/x"):
                self.assertEqual((await self.ask(front, request % target))[0], 404, request)
        self.assertEqual(origin.paths, [])
        for target in OTHER:
            if target != b"*":
                await self.ask(front, b"GET " + target + b" HTTP/1.1\r\nHost: m\r\n\r\n")
        self.assertEqual(origin.paths, [target.decode() for target in OTHER if target != b"*"])

    async def test_head(self) -> None:
        """HEAD gets the head that GET gets, and no body: the connection goes on with the next answer."""
        front = self.front(self.origin(), intercept=ResourceIntercept(PATH, Page(), answer_reserved))
        for path in (PATH, PATH + b"/"):
            client = await self.connect(front)
            for method in (b"HEAD", b"GET"):
                client.send(method + b" " + path + b" HTTP/1.1\r\nHost: m\r\n\r\n")
            status, head, _ = await client.response(head=True)
            self.assertEqual((status, head.replace(b"HEAD", b"GET")), (await client.response())[:2])
