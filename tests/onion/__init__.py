"""Tests of rustbalance.onion."""
