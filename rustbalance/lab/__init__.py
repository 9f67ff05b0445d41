"""A private Tor network, a client, a target site and nodes of ours, all on loopback."""

from rustbalance.lab.commands import lab_down, lab_status

__all__ = ["lab_down", "lab_status"]
