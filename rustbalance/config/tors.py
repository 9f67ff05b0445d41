"""
Which Tors a node has.

Owns: the rules that the keys of the section ``tor`` keep together, and the defaults that depend on others of them.
In: a draft; out: values filled in, complaints added to it.
"""

from collections.abc import Callable

from rustbalance.config.draft import Draft

CONTROL = ("tor.standby_control_port", "tor.standby_control_socket")
SOCKS = "tor.standby_socks_port"
MODE = "tor.standby_mode"
#: What is for Tors that are children of ours: all managed ones, and the scout.
CHILDREN = ("tor.binary", "tor.torrc_include")


def fill_in_tors(draft: Draft) -> None:
    """Say whether there is a standby and a scout where the file does not."""
    if MODE not in draft.given:
        draft.values[MODE] = _standby_mode(draft)
    if "tor.scout" not in draft.given:
        draft.values["tor.scout"] = _managed(draft) or _mesh_over_tor(draft)


def _standby_mode(draft: Draft) -> str:
    if _managed(draft) or any(name in draft.given for name in CONTROL):
        return "service"
    return "socks" if SOCKS in draft.given else "off"


def _managed(draft: Draft) -> bool:
    return draft.values.get("tor.mode") == "managed"


def _mesh_over_tor(draft: Draft) -> bool:
    return draft.values.get("coordination.mode") == "tor" and "coordination.cluster_token" in draft.held


def has_children(draft: Draft) -> bool:
    """Say whether any Tor of the node is a child of ours; where it cannot be told, yes."""
    return draft.values.get("tor.mode") != "external" or draft.values.get("tor.scout") is not False


def _only_for_children(draft: Draft) -> None:
    for name in CHILDREN:
        if name in draft.given and not has_children(draft):
            draft.complain(name, 'has a meaning only with tor.mode = "managed" or tor.scout = true; leave it out')


def _scout_for_the_mesh(draft: Draft) -> None:
    """The mesh's onion services need a Tor that publishes; those that serve visitors do not."""
    if draft.values.get("tor.scout") is False and _mesh_over_tor(draft):
        draft.complain("tor.scout", 'must be true with coordination.mode = "tor", whose messages travel through it')


def _standby_ports(draft: Draft) -> None:
    """A standby is of no use unless streams can go through it, and serves visitors only if it can be told to."""
    if draft.values.get("tor.mode") != "external":
        return
    control = next((name for name in CONTROL if name in draft.given), None)
    mode = draft.values.get(MODE)
    if mode == "off":
        for name in (*CONTROL, SOCKS):
            if name in draft.given:
                draft.complain(name, f'has a meaning only with another {MODE} than "off"; leave it out')
    elif SOCKS not in draft.given and (control or mode is not None):
        draft.complain(SOCKS, "must be given for a standby, together with its control port or alone")
    elif mode == "service" and control is None:
        draft.complain(CONTROL[0], f'must be given with {MODE} = "service", or {CONTROL[1]}')


def _ports_differ(draft: Draft) -> None:
    """No two of the ports of external Tors are the same; a control socket stands for its port."""
    if draft.values.get("tor.mode") != "external":
        return
    seen: dict[int, str] = {}
    for name, socket in (
        ("tor.control_port", "tor.control_socket"),
        ("tor.socks_port", None),
        (CONTROL[0], CONTROL[1]),
        (SOCKS, None),
    ):
        port = draft.values.get(name)
        if port is None or socket in draft.given:
            continue
        if port in seen:
            draft.complain(name, f"must not be the same as {seen[port]}, {port}")
        seen.setdefault(port, name)


TOR_CHECKS: tuple[Callable[[Draft], None], ...] = (
    _only_for_children,
    _scout_for_the_mesh,
    _standby_ports,
    _ports_differ,
)
