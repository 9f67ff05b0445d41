"""The Tor processes that serve the address: their control connections, their settings and their lives."""
