"""Measurements behind every claim of speed; each module has a main() that exits 1 when its target is missed."""
