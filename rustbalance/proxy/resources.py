"""
Pages of our own as Twisted Web resources.

Owns: the place where a resource tree stands among the requests of visitors, and the form in which resources see a
request. In: an ``Intercept``'s requests; out: ``LocalAnswer``, or what another ``Intercept`` says.

The tree is asked about the canonical form of a request's path, and only about requests that come near to the path of
its page (``canonical.py``); whatever in it is no page is the plain 404. Nothing of the kind reaches the target, whose
log would tell the path. All other requests go on as if the tree were not there.
"""

from typing import Any

from twisted.logger import Logger
from twisted.web.error import UnsupportedMethod
from twisted.web.http import RESPONSES
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource, getChildForRequest

from rustbalance.proxy.canonical import canonical, comes_near
from rustbalance.proxy.pages import PAGES, BodyWanted, Intercept, LocalAnswer
from rustbalance.proxy.request import RequestHead


class LocalRequest:
    """
    As much of a Twisted Web request as a resource needs that answers at once and reads no body.

    The path is in canonical form, its segments are not decoded any further.
    """

    def __init__(self, head: RequestHead) -> None:
        self.method = head.method
        self.uri = head.target
        self.path = canonical(head.target)
        self.prepath: list[bytes] = []
        self.postpath = self.path.split(b"/")[1:]
        self.requestHeaders = Headers()
        for name, _, value in head.fields:
            self.requestHeaders.addRawHeader(name, value)
        self.responseHeaders = Headers()
        self.code = 200

    def setResponseCode(self, code: int) -> None:  # noqa: N802  (the names are Twisted's)
        """Answer with this status instead of 200."""
        self.code = code

    def setHeader(self, name: bytes, value: bytes) -> None:  # noqa: N802
        """Answer with this field."""
        self.responseHeaders.setRawHeaders(name, [value])

    def answer(self, body: bytes) -> LocalAnswer:
        """Return the answer with ``body``."""
        fields = tuple((name, value) for name, values in self.responseHeaders.getAllRawHeaders() for value in values)
        return LocalAnswer(self.code, RESPONSES[self.code], fields, body)


class Branch(Resource):
    """A place in the tree at which there is no page, and no other than those below it that were put there."""

    def getChild(self, path: bytes, request: Any) -> Resource:
        """Return a place without a page."""
        return Branch()

    def render_GET(self, request: Any) -> bytes:
        """Answer as for any path that does not exist."""
        return missing(request)


def missing(request: Any) -> bytes:
    """Answer ``request`` with the plain 404, whatever the reason is."""
    page = PAGES[404]
    request.setResponseCode(page.status)
    for name, value in page.fields:
        request.setHeader(name, value)
    return page.body


def tree(path: bytes, page: Branch) -> Branch:
    """Return the root of a tree that has ``page`` at ``path`` and nothing else."""
    *above, last = path.split(b"/")[1:]
    root = place = Branch()
    for name in above:
        branch = Branch()
        place.putChild(name, branch)
        place = branch
    place.putChild(last, page)
    return root


class ResourceIntercept:
    """An ``Intercept`` that answers at ``path`` with ``page``, and leaves what is not near to it to ``otherwise``."""

    log = Logger()

    def __init__(self, path: bytes, page: Branch, otherwise: Intercept) -> None:
        self._path = path
        self._root = tree(path, page)
        self._otherwise = otherwise

    def __call__(self, request: RequestHead) -> LocalAnswer | BodyWanted | None:
        """Answer what is near to the path, and leave the rest."""
        if not comes_near(request.target, self._path):
            return self._otherwise(request)
        try:
            return self._render(LocalRequest(request))
        except Exception:
            self.log.failure("a page of our own could not be made")
            return PAGES[503]

    def _render(self, request: LocalRequest) -> LocalAnswer:
        body: Any
        try:
            body = getChildForRequest(self._root, request).render(request)
        except UnsupportedMethod:
            return PAGES[404]
        if not isinstance(body, bytes):
            raise TypeError("a page must be there at once")
        return request.answer(body)
