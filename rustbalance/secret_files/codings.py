"""
Hexadecimal and base64 forms of secrets.

Owns: both directions, inside locked memory and in constant time (libsodium's codecs). In: ``Secret``; out: ``Secret``.
"""

import ctypes

from rustbalance.secrets import Secret, address_of, libsodium

_BASE64, _BASE64_UNPADDED = 1, 3  # sodium_base64_VARIANT_ORIGINAL and _NO_PADDING
_SIZE, _POINTER, _NUMBER = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int
for _name, _arguments in {
    "sodium_hex2bin": [_POINTER, _SIZE, _POINTER, _SIZE, _POINTER, _POINTER, _POINTER],
    "sodium_base642bin": [_POINTER, _SIZE, _POINTER, _SIZE, _POINTER, _POINTER, _POINTER, _NUMBER],
    "sodium_bin2base64": [_POINTER, _SIZE, _POINTER, _SIZE, _NUMBER],
    "sodium_bin2hex": [_POINTER, _SIZE, _POINTER, _SIZE],
}.items():
    getattr(libsodium, _name).argtypes = _arguments
libsodium.sodium_bin2base64.restype = _POINTER
libsodium.sodium_bin2hex.restype = _POINTER


def decode_hex(secret: Secret) -> Secret:
    """
    Return the bytes that hexadecimal digits of either case stand for; the time taken tells nothing about them.

    :raises ValueError: another character, or an odd number of them.
    """
    decoded = Secret(len(secret) // 2)
    with secret.pointer() as text, decoded.pointer() as out:
        failed = libsodium.sodium_hex2bin(
            *(address_of(out), len(decoded), address_of(text), len(secret)),
            *(None, None, None),  # no characters to ignore; without a place to say where it stopped, it must not stop
        )
    if failed:
        raise ValueError("must be an even number of hexadecimal digits")
    return decoded


def encode_hex(secret: Secret) -> Secret:
    """Return the secret as hexadecimal digits, which can stand anywhere, also in a path."""
    length = 2 * len(secret)
    with Secret(length + 1) as text:  # libsodium ends the text with a NUL
        with secret.pointer() as source, text.pointer() as out:
            libsodium.sodium_bin2hex(address_of(out), length + 1, address_of(source), len(secret))
        with text.expose() as view:
            return Secret.copy_of(view[:length])


def decode_base64(secret: Secret, size: int = 32) -> Secret:
    """
    Return the ``size`` bytes that base64 text, padded or not, stands for; the time taken tells nothing about them.

    :raises ValueError: another character or another length.
    """
    for variant in (_BASE64, _BASE64_UNPADDED):
        decoded = Secret(size)
        length = ctypes.c_size_t()
        with secret.pointer() as text, decoded.pointer() as out:
            failed = libsodium.sodium_base642bin(
                *(address_of(out), size, address_of(text), len(secret)),
                *(None, ctypes.byref(length), None, variant),
            )
        if not failed and length.value == size:
            return decoded
    raise ValueError(f"must be {size} bytes in base64")


def encode_base64(secret: Secret) -> Secret:
    """Return the secret as padded base64 text, the form of WireGuard's keys."""
    length = -(-len(secret) // 3) * 4
    with Secret(length + 1) as text:  # libsodium ends the text with a NUL
        with secret.pointer() as source, text.pointer() as out:
            libsodium.sodium_bin2base64(address_of(out), length + 1, address_of(source), len(secret), _BASE64)
        with text.expose() as view:
            return Secret.copy_of(view[:length])
