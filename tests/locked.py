"""
What is in locked memory when a test begins.

Owns: nothing. In: the process with what earlier tests have left in it; out: a number that only the test itself changes.
"""

import gc

from rustbalance.secrets import locked_bytes


def locked_before() -> int:
    """Return how many bytes are locked when what earlier tests left has been collected: it would go at any moment."""
    gc.collect()
    return locked_bytes()
