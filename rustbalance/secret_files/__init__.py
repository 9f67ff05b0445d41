"""Secrets in files and out of them, in their codings, and cut out of configuration text."""

from rustbalance.secret_files.codings import decode_base64, decode_hex, encode_base64, encode_hex
from rustbalance.secret_files.files import SecretFileError, create_secret, read_raw, read_secret, write_secret
from rustbalance.secret_files.inline import read_inline

__all__ = [
    "SecretFileError",
    "create_secret",
    "decode_base64",
    "decode_hex",
    "encode_base64",
    "encode_hex",
    "read_inline",
    "read_raw",
    "read_secret",
    "write_secret",
]
