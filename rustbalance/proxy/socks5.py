"""
SOCKS5 as a client speaks it with Tor.

Owns: the bytes of one CONNECT (RFC 1928, RFC 1929, Tor's socks-extensions). In: where to go and the proxy's answers;
out: what to send, or ``SocksFailure``. Pure.

Without isolation the greeting and the request go out in one write. With it they must not: tor 0.4.9 swallows its
answer to the greeting when user name and request come in the same segment, so the greeting is sent alone.
"""

import ipaddress

VERSION = b"\x05"
#: Greeting that offers "no authentication", and one that offers "user name and password".
GREETING_PLAIN = b"\x05\x01\x00"
GREETING_ISOLATED = b"\x05\x01\x02"
CONNECT = b"\x05\x01\x00"
IPV4, NAME, IPV6 = 1, 3, 4
LONGEST_STRING = 255

#: RFC 1928 section 6, then Tor's extended errors (socks-extensions, ExtendedErrors).
MEANINGS: dict[int, str] = {
    0x01: "general failure",
    0x02: "not allowed",
    0x03: "network unreachable",
    0x04: "host unreachable",
    0x05: "connection refused",
    0x06: "timed out",
    0x07: "command not supported",
    0x08: "address type not supported",
    0xF0: "onion service descriptor not found",
    0xF1: "onion service descriptor invalid",
    0xF2: "introduction failed",
    0xF3: "rendezvous failed",
    0xF4: "client authorization missing",
    0xF5: "client authorization wrong",
    0xF6: "onion address invalid",
    0xF7: "introduction timed out",
}


class SocksFailure(Exception):
    """No connection came about. ``code`` is the proxy's reply (RFC 1928 section 6), None when it gave none."""

    code: int | None = None


class SocksRefused(SocksFailure):
    """The proxy answered, and said no."""

    def __init__(self, code: int) -> None:
        super().__init__(f"SOCKS reply 0x{code:02X}: {MEANINGS.get(code, 'unknown code')}")
        self.code = code


class SocksMalformed(SocksFailure):
    """What answered does not speak SOCKS5 with us, or went away in the middle."""


class SocksConnect:
    """
    One CONNECT to ``host:port``: send ``begin()``, then what each ``receive()`` returns, until ``done``.

    ``isolation`` (at most 255 bytes of UTF-8) becomes user name and password: Tor shares circuits only between
    streams with the same ones (IsolateSOCKSAuth).
    """

    def __init__(self, host: str, port: int, isolation: str | None = None) -> None:
        self._request = CONNECT + _address(host) + port.to_bytes(2, "big")
        self._login = None if isolation is None else _login(isolation)
        self._buffer = b""
        self._next = self._method
        self.done = False

    def begin(self) -> bytes:
        """Return the first bytes to send."""
        return GREETING_PLAIN + self._request if self._login is None else GREETING_ISOLATED

    def receive(self, data: bytes) -> bytes:
        """
        Take what the proxy sent; return what to send now.

        :raises SocksRefused: the proxy's reply is not 0 (succeeded).
        :raises SocksMalformed: it is no reply.
        """
        self._buffer += data
        answer = b""
        while not self.done and (step := self._next()) is not None:
            answer += step
        return answer

    def rest(self) -> bytes:
        """Return what came behind the proxy's reply: the first bytes of the other side."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _method(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        if self._take(2) != VERSION + (b"\x00" if self._login is None else b"\x02"):
            raise SocksMalformed("the SOCKS proxy does not accept our method")
        if self._login is None:
            self._next = self._reply
            return b""
        self._next = self._login_result
        return self._login + self._request

    def _login_result(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        if self._take(2) != b"\x01\x00":
            raise SocksMalformed("the SOCKS proxy does not accept our isolation")
        self._next = self._reply
        return b""

    def _reply(self) -> bytes | None:
        """Judge by the first two bytes: a proxy that refuses may close before the rest of its reply."""
        if len(self._buffer) < 2:
            return None
        if self._buffer[:1] != VERSION:
            raise SocksMalformed("the SOCKS proxy's reply is not one of SOCKS5")
        if self._buffer[1]:
            raise SocksRefused(self._buffer[1])
        length = self._reply_length()
        if length is None or len(self._buffer) < length:
            return None
        self._take(length)
        self.done = True
        return b""

    def _reply_length(self) -> int | None:
        """Return the reply's length, which depends on the type of the bound address (D-58: not always 10 bytes)."""
        if len(self._buffer) < 5:
            return None
        if self._buffer[2]:
            raise SocksMalformed("the SOCKS proxy's reply has a reserved byte that is not 0")
        lengths = {IPV4: 10, NAME: 7 + self._buffer[4], IPV6: 22}
        if self._buffer[3] not in lengths:
            raise SocksMalformed("the SOCKS proxy's reply has an unknown type of address")
        return lengths[self._buffer[3]]

    def _take(self, count: int) -> bytes:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def _address(host: str) -> bytes:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        return bytes([NAME]) + _counted(host.encode("ascii"))
    return bytes([IPV4 if literal.version == 4 else IPV6]) + literal.packed


def _login(isolation: str) -> bytes:
    name = _counted(isolation.encode())
    return b"\x01" + name + name


def _counted(text: bytes) -> bytes:
    if not 1 <= len(text) <= LONGEST_STRING:
        raise ValueError("a string in SOCKS5 has 1 to 255 bytes")
    return bytes([len(text)]) + text
