"""Tests of rustbalance.secret_files."""
