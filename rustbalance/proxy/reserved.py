"""
Paths that never reach the target.

Owns: what is under ``/.rb/`` in any spelling. In: a request's target; out: whether it is reserved. Pure.

The path holds secrets of the cluster, and the target writes its logs (D-42). So whatever some server might take for it
(``canonical.comes_near``) is answered here like any unknown path.
"""

from rustbalance.proxy.canonical import comes_near

PREFIX = b"/.rb"


def is_reserved(target: bytes) -> bool:
    """Say whether ``target`` (origin form) might mean something under the reserved prefix."""
    return comes_near(target, PREFIX)
