"""What another process finds in ours: no secret outside locked pages, and none at all after the wipe."""
