"""RustBalance: several machines serve one Tor v3 onion address, with no single point of failure."""

__version__ = "0.1.0"
