"""
Carriers: how sealed frames reach the other nodes.

Pure modules decide (framing, what waits, which stream to take); ``wire``, ``links`` and the carriers move the bytes.
No carrier looks into a frame, and none trusts what brought it: the seal of ``rustbalance.cluster`` does all of that.
"""
