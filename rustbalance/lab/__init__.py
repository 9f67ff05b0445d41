"""A private Tor network, a client, a target site and nodes of ours, all on loopback."""
