"""
The reverse proxy: visitors' requests go to the target, its answers come back, as streams.

Pure modules decide (heads, framing, header rules, reserved paths, pages, SOCKS replies); ``visitor``, ``exchange``,
``target``, ``pool``, ``dialing`` and ``front`` move the bytes.
"""
