"""Tells twistd about the rustbalance service; names only, as every twistd start imports this file."""

from twisted.application.service import ServiceMaker

rustbalance = ServiceMaker(  # type: ignore[no-untyped-call]
    "RustBalance",
    "rustbalance.tap",
    "Serves one Tor v3 onion address from several machines.",
    "rustbalance",
)
