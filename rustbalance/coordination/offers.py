"""
What others offer, in the publisher's terms.

Owns: reading it, and saying once what cannot be read. In: ``IntroPoints`` by source; out: inner layers by source.
"""

from collections.abc import Mapping

from twisted.logger import Logger

from rustbalance.cluster.messages import IntroPoints, MalformedMessage
from rustbalance.cluster.points import decode_points
from rustbalance.onion.inner import InnerLayer


class OfferReader:
    """Reads offers again and again, and logs what is left out of one when it is news."""

    log = Logger()

    def __init__(self) -> None:
        self._left_out: dict[str, tuple[str, ...]] = {}

    def read(self, sources: Mapping[str, IntroPoints]) -> dict[str, InnerLayer]:
        """Return the points of each source that keep the rules; none of one that cannot be read at all."""
        return {name: self._inner(name, points.inner) for name, points in sources.items()}

    def _inner(self, name: str, data: bytes) -> InnerLayer:
        try:
            inner, dropped = decode_points(data)
        except MalformedMessage as error:
            inner, dropped = InnerLayer(()), (str(error),)
        if dropped and dropped != self._left_out.get(name):
            self.log.warn("introduction points of {name} are left out: {why}", name=name, why="; ".join(dropped))
        self._left_out[name] = dropped
        return inner
