"""
How well the node does, found out and mended: probes, self-tests, diagnosis, repairs.

Pure modules judge what was found and decide what to do about it; the others look, and act.
"""
