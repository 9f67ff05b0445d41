"""
The page at the canary's path.

Owns: who is told what there. In: a request, the state of the node; out: one of three answers, or the plain 404.

* No token is configured: everybody gets ``{"status":"ok"}``, which says that the whole way to a node works.
* The right ``Authorization: Bearer TOKEN``: the state of the node that answers.
* A token is configured and the right one was not given: the 404 that any unknown path of ours gets, to the byte.

A visit of the cluster's own (``proof.py``) gets the name of the node and of its Tor, with the proof that it is true.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from rustbalance.health.proof import SCHEME, recognise
from rustbalance.ops.status import NodeStatus
from rustbalance.proxy.resources import Branch, missing
from rustbalance.secrets import Secret

ABSENT = ("joining", "dead")


class Minimal(msgspec.Struct, frozen=True, kw_only=True):
    """What everybody may know."""

    status: Literal["ok"] = "ok"


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """What nodes tell each other: who it is that answers, and through which Tor the visit came."""

    status: Literal["ok"] = "ok"
    node_id: str
    instance: str


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """
    What the operator may know.

    Times are whole seconds; ``last_publish_age_secs`` is None if this node has not published. ``target_healthy`` is
    False once the target was found not to answer. ``active_peers`` are the other nodes that are heard.
    """

    status: Literal["ok"] = "ok"
    node_id: str
    is_publisher: bool
    uptime_secs: int
    target_healthy: bool
    last_publish_age_secs: int | None
    active_peers: int
    instance: str


def details(node: NodeStatus, instance: str) -> Details:
    """Return the details of a node; ``instance`` is the Tor that the question came through."""
    cluster = node.cluster
    ages = [descriptor.age_secs for descriptor in node.descriptors if descriptor.age_secs is not None]
    peers = () if cluster is None else [peer for peer in cluster.members if peer.id != node.node_id]
    return Details(
        node_id=node.node_id,
        is_publisher=node.publishes,
        uptime_secs=int(node.uptime_secs),
        target_healthy=node.proxy.target_healthy is not False,
        last_publish_age_secs=int(min(ages)) if ages else None,
        active_peers=sum(peer.state not in ABSENT for peer in peers),
        instance=instance,
    )


class CanaryPage(Branch):
    """
    The page, for visits that come through the Tor ``instance``.

    ``token`` and ``keys`` stay the caller's; ``keys`` are those that visits of the cluster may be proved by. ``wall``
    reads the Unix time.
    """

    def __init__(
        self,
        instance: str,
        token: Secret | None,
        keys: Callable[[], Sequence[Secret]],
        node: Callable[[], NodeStatus],
        wall: Callable[[], float],
    ) -> None:
        super().__init__()
        self._instance = instance
        self._token = token
        self._keys = keys
        self._node = node
        self._wall = wall

    def render_GET(self, request: Any) -> bytes:
        """Answer, or say that there is no such page."""
        scheme, given = _credentials(request)
        if scheme == SCHEME and (visit := recognise(given, self._keys(), self._wall())) is not None:
            body = self._json(request, Tag(node_id=self._node().node_id, instance=self._instance))
            request.setHeader(b"Authentication-Info", visit.prove(body))
            return body
        if self._token is None:
            return self._json(request, Minimal())
        if scheme == b"bearer" and self._token == given:
            return self._json(request, details(self._node(), self._instance))
        return missing(request)

    def _json(self, request: Any, what: msgspec.Struct) -> bytes:
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Cache-Control", b"no-store")
        return msgspec.json.encode(what)


def _credentials(request: Any) -> tuple[bytes, bytes]:
    """Return the scheme in lower case and what stands behind it (RFC 9110 section 11.4); nothing for several."""
    values = request.requestHeaders.getRawHeaders(b"authorization", [])
    scheme, _, given = (values[0] if len(values) == 1 else b"").partition(b" ")
    return scheme.lower(), given.strip(b" ")
