"""Tests against real tor daemons: a private network on loopback, see network.py."""
