"""Drills: each breaks one thing of a whole node on a real Tor network and waits for the repair."""
