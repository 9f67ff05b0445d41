"""Members as a carrier sees them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Record:
    """What a carrier reads of a C{NodeRecord}."""

    id: str
    addresses: tuple[str, ...] = ()
