"""Tests for L{rustbalance.publishing}."""
