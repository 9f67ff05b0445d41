"""
The middle layer of a descriptor: who may read the inner one.

Owns: the plaintext of the "superencrypted" section and its padding. In: client lines and the encrypted inner layer, or
padded text; out: the other.
Source: rend-spec-v3 section 2.5.1; C tor's hs_descriptor.c.
"""

from dataclasses import dataclass

from rustbalance.onion.client_auth import COOKIE, ClientLine
from rustbalance.onion.netdoc import (
    Item,
    MalformedDescriptor,
    decode_base64,
    encode_base64,
    encode_object,
    encode_unpadded,
    exactly_one,
    parse_items,
    text_of,
    with_keyword,
)

PADDING = 10_000
"""The plaintext is filled with NULs to a multiple of so many bytes."""
MESSAGE = "MESSAGE"
_AUTH_TYPE = "x25519"


@dataclass(frozen=True)
class MiddleLayer:
    """The key that client lines are made with (x25519, public), those lines, and the encrypted inner layer."""

    ephemeral_public: bytes
    clients: tuple[ClientLine, ...]
    encrypted: bytes


def encode_middle(middle: MiddleLayer) -> bytes:
    """Return the padded plaintext of ``middle``; like C tor's, its last line has no newline."""
    text = (
        f"desc-auth-type {_AUTH_TYPE}\n"
        f"desc-auth-ephemeral-key {encode_base64(middle.ephemeral_public)}\n"
        + "".join(map(_client_line, middle.clients))
        + f"encrypted\n{encode_object(MESSAGE, middle.encrypted).removesuffix(chr(10))}"
    )
    return text.encode("ascii") + bytes(-len(text) % PADDING)


def _client_line(line: ClientLine) -> str:
    words = map(encode_unpadded, (line.client_id, line.iv, line.encrypted_cookie))
    return f"auth-client {' '.join(words)}\n"


def decode_middle(plaintext: bytes) -> MiddleLayer:
    """
    Read a padded plaintext, with or without a newline at the end of its last line.

    :raises MalformedDescriptor: it breaks a rule.
    """
    items = parse_items(text_of(plaintext.rstrip(b"\0"), "the middle layer"))
    if exactly_one(items, "desc-auth-type").argument != _AUTH_TYPE:
        raise MalformedDescriptor(f"desc-auth-type must be {_AUTH_TYPE}")
    ephemeral = exactly_one(items, "desc-auth-ephemeral-key").argument
    clients = tuple(map(_decode_client, with_keyword(items, "auth-client")))
    if not clients:
        raise MalformedDescriptor("auth-client is missing")
    encrypted = exactly_one(items, "encrypted").object(MESSAGE)
    return MiddleLayer(decode_base64(ephemeral, "desc-auth-ephemeral-key", 32), clients, encrypted)


def _decode_client(item: Item) -> ClientLine:
    if len(words := item.arguments) < 3:
        raise MalformedDescriptor("auth-client must have a client id, an IV and a cookie")
    return ClientLine(
        decode_base64(words[0], "the id of auth-client", 8),
        decode_base64(words[1], "the IV of auth-client", 16),
        decode_base64(words[2], "the cookie of auth-client", COOKIE),
    )
