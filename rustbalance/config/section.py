"""
What a table of the configuration is.

Owns: the form of all sections. In: nothing; out: ``Section``.
"""

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file. Its ``repr`` names it and shows nothing of its contents."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
