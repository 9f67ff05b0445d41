"""Nodes on disk: making the first one, a bundle for another one, and that other one from the bundle."""
