"""
Being taken out of service.

Owns: what ``rustbalance drain`` and ``undrain`` are answered. In: facts; out: a value and its sentence. Pure.
"""

import msgspec


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    """
    ``drained``: the node is out of service. ``others``: the other nodes that serve visitors.

    ``connections``: those of visitors, a keep-alive one without a request included.
    """

    drained: bool
    others: tuple[str, ...]
    connections: int

    @property
    def sentence(self) -> str:
        """What happens now."""
        if not self.drained:
            return "back in service: this node's introduction points are published again"
        if not self.others:
            return "drained, but no other node serves: its introduction points stay, and visitors still come here"
        named = ", ".join(self.others)
        return (
            f"drained: this node's introduction points are withdrawn, {named} will have its visitors; "
            f"{self.connections} connections are left to finish"
        )
