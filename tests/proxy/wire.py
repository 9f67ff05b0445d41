"""Real sockets for the tests of the proxy."""

from typing import Any

from twisted.internet import reactor as _reactor  # noqa: TID251  (real sockets need the real one)

#: The one reactor that trial runs.
reactor: Any = _reactor
