"""A simulated cluster: the real decisions on a made-up clock and network. See C{docs/scaling.md}."""
