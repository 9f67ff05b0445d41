"""Joining: how a new machine becomes a member through the master address."""
