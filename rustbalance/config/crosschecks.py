"""
Rules that several keys have to keep together.

Owns: which keys exclude, need or collide with each other. In: a draft; out: complaints added to it. A key that was bad
by itself takes no part: one mistake, one complaint.
"""

from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

from rustbalance.config.addresses import LONGEST_UNIX_PATH, HostPort, UnixPath
from rustbalance.config.draft import Draft
from rustbalance.config.outline import entries
from rustbalance.config.tls_check import TlsCheck
from rustbalance.config.tors import TOR_CHECKS, fill_in_tors

#: The longest state_dir under which managed Tor finds room for its sockets (``tor/primary/control.sock``), in bytes.
DEEPEST_STATE = 75
LOOPBACK = ("127.0.0.1", "localhost", "::1")

#: What lies in state_dir unless it is said where it lies.
IN_STATE_DIR = {
    "control_socket": "control.sock",
    "node.hidden_service_dir": "hidden_service",
    "node.standby_hidden_service_dir": "hidden_service_standby",
}

AGE = "health.descriptor_max_age_secs"

#: Pairs of keys of which at most one may be given.
EXCLUSIVE = (
    ("listen", "local_port"),
    ("tor.control_socket", "tor.control_port"),
    ("tor.standby_control_socket", "tor.standby_control_port"),
)

#: Keys that mean something only when another one has a certain value.
DEPENDENT: tuple[tuple[str, str, object], ...] = (
    ("tor.control_host", "tor.mode", "external"),
    ("tor.control_port", "tor.mode", "external"),
    ("tor.control_socket", "tor.mode", "external"),
    ("tor.socks_port", "tor.mode", "external"),
    ("tor.control_password", "tor.mode", "external"),
    ("tor.control_password_file", "tor.mode", "external"),
    ("tor.standby_control_port", "tor.mode", "external"),
    ("tor.standby_control_socket", "tor.mode", "external"),
    ("tor.standby_socks_port", "tor.mode", "external"),
    ("tor.restart_command", "tor.mode", "external"),
    ("node.hidden_service_dir", "tor.mode", "external"),
    ("node.standby_hidden_service_dir", "tor.mode", "external"),
    ("target.tls_verify", "target.use_tls", True),
    ("coordination.listen", "coordination.mode", "direct"),
    ("coordination.peers", "coordination.mode", "direct"),
    ("wireguard.interface", "coordination.mode", "wireguard"),
    ("wireguard.listen_port", "coordination.mode", "wireguard"),
    ("wireguard.network", "coordination.mode", "wireguard"),
    ("wireguard.tunnel_ip", "coordination.mode", "wireguard"),
    ("wireguard.private_key", "coordination.mode", "wireguard"),
    ("wireguard.private_key_file", "coordination.mode", "wireguard"),
    ("wireguard.external_endpoint", "coordination.mode", "wireguard"),
    ("wireguard.peers", "coordination.mode", "wireguard"),
    ("wireguard.userspace", "coordination.mode", "wireguard"),
)


def fill_in(draft: Draft) -> None:
    """Give the keys that were left out and whose default depends on others their value."""
    values, given = draft.values, draft.given
    for name, last in IN_STATE_DIR.items():
        if name not in given:
            values.pop(name, None)
            if "state_dir" in values:
                values[name] = values["state_dir"] / last
    if "target.tls_verify" not in given and "target.onion_address" in given:
        values["target.tls_verify"] = TlsCheck("off")
    fill_in_tors(draft)
    refresh = values.get("publish.refresh_interval_secs")
    if AGE not in given and refresh is not None:
        values[AGE] = max(values[AGE], 1.5 * refresh)


def cross_check(draft: Draft) -> None:
    """Check all rules of this module."""
    for check in CHECKS:
        check(draft)


def _exactly_one_target(draft: Draft) -> None:
    forms = [name for name in ("target.onion_address", "target.address") if name in draft.given]
    if len(forms) == 2:
        draft.complain("target", "must have exactly one of onion_address and address, not both")
    elif not forms:
        draft.complain("target", "must have exactly one of onion_address and address; it has neither")
    if forms == ["target.address"] and "target.port" in draft.given:
        draft.complain("target.port", "belongs to onion_address; with address the port is part of it")


def _onion_in_its_place(draft: Draft) -> None:
    address = draft.values.get("target.address")
    if isinstance(address, HostPort) and address.host.rstrip(".").endswith(".onion"):
        draft.complain("target.address", "must not be an onion address; that goes to target.onion_address")


def _exclusive(draft: Draft) -> None:
    for one, other in EXCLUSIVE:
        if one in draft.given and other in draft.given:
            draft.complain(one, f"must not be given together with {other}")


def _dependent(draft: Draft) -> None:
    for name, other, needed in DEPENDENT:
        if name in draft.given and other in draft.values and draft.values[other] != needed:
            wanted = f'"{needed}"' if isinstance(needed, str) else str(needed).lower()
            draft.complain(name, f"has a meaning only with {other} = {wanted}; leave it out")


def _control_socket_fits(draft: Draft) -> None:
    """The derived path has not been measured yet; with a managed Tor the next rule is the stricter one."""
    path = draft.values.get("control_socket")
    if draft.values.get("tor.mode") != "external":
        return
    if "control_socket" not in draft.given and path is not None and len(bytes(path)) > LONGEST_UNIX_PATH:
        draft.complain(
            "state_dir",
            f"is too deep: its control.sock would need {len(bytes(path))} bytes and a Unix socket's path has at most "
            f"{LONGEST_UNIX_PATH}; take a shorter one, or set control_socket",
            draft_value(draft, "state_dir"),
        )


def _room_for_tor(draft: Draft) -> None:
    path = draft.values.get("state_dir")
    if draft.values.get("tor.mode") == "managed" and path is not None and len(bytes(path)) > DEEPEST_STATE:
        rule = (
            f"must be at most {DEEPEST_STATE} bytes long (it is {len(bytes(path))}), as Tor's Unix sockets lie inside"
        )
        draft.complain("state_dir", rule, draft_value(draft, "state_dir"))


def _sockets_differ(draft: Draft) -> None:
    """No two things at one Unix path, and no visitor sent round in a circle."""
    seen: dict[Path, str] = {}
    for name in ("control_socket", "listen", "target.address", "tor.control_socket", "tor.standby_control_socket"):
        value = draft.values.get(name)
        path = value.path if isinstance(value, UnixPath) else value
        if not isinstance(path, Path) or any(complaint.key == name for complaint in draft.complaints):
            continue
        if path in seen:
            draft.complain(name, f"must not be the same socket as {seen[path]}")
        seen.setdefault(path, name)


def _no_circle(draft: Draft) -> None:
    target, port = draft.values.get("target.address"), draft.values.get("local_port")
    if "listen" in draft.given or not isinstance(target, HostPort) or target.host not in LOOPBACK:
        return
    if target.port == port:
        draft.complain("target.address", f"must not be our own local_port {port}: visitors would go in circles")


def _not_our_own_address(draft: Draft) -> None:
    target, master = draft.values.get("target.onion_address"), draft.values.get("master.onion_address")
    if target is not None and target == master:
        draft.complain("target.onion_address", "must not be the master address: visitors would go in circles")


def _token_where_needed(draft: Draft) -> None:
    """Nodes prove that they belong together by the token; without one nobody would be let in, or anybody (D-36)."""
    if "coordination.cluster_token" in draft.held or "coordination.cluster_token" in _bad(draft):
        return
    needs = [name for name in ("coordination.peers", "wireguard.peers") if draft.values.get(name)]
    needs += [
        name for name in ("coordination.join_secret", "coordination.previous_cluster_token") if name in draft.held
    ]
    if needs:
        draft.complain("coordination.cluster_token", f"must be given when {needs[0]} is")


def _previous_token(draft: Draft) -> None:
    """The token before is never heard for ever."""
    previous, expires = "coordination.previous_cluster_token", "coordination.previous_cluster_token_expires"
    if previous in draft.held and expires not in draft.given:
        draft.complain(expires, f"must be given together with {previous}")
    if expires in draft.given and previous not in draft.held | _bad(draft):
        draft.complain(expires, f"has a meaning only with {previous}; leave it out")


def _timings(draft: Draft) -> None:
    """A node that is late by one heartbeat is not gone."""
    interval = draft.values.get("coordination.heartbeat_interval_secs")
    for name in ("coordination.heartbeat_timeout_secs", "coordination.lease_duration_secs"):
        length = draft.values.get(name)
        if interval is not None and length is not None and length < 2 * interval:
            rule = f"must be at least twice coordination.heartbeat_interval_secs, which is {interval:g}"
            draft.complain(name, rule, draft_value(draft, name))


def _wireguard(draft: Draft) -> None:
    if draft.values.get("coordination.mode") != "wireguard":
        return
    if "wireguard.private_key" not in draft.held | _bad(draft):
        draft.complain("wireguard.private_key", 'must be given with coordination.mode = "wireguard"')
    network, own = draft.values.get("wireguard.network"), draft.values.get("wireguard.tunnel_ip")
    if network is None:
        return
    if own is not None and ip_address(own) not in ip_network(network):
        draft.complain("wireguard.tunnel_ip", f"must be in wireguard.network, which is {network}", own)
    peers = draft.values.get("wireguard.peers", ())
    if any(ip_address(peer.tunnel_ip) not in ip_network(network) for peer in peers):
        draft.complain("wireguard.peers", f"must have their tunnel_ip in wireguard.network, which is {network}")
    addresses = [own, *(peer.tunnel_ip for peer in peers)]
    if len(set(addresses)) < len(addresses):
        draft.complain("wireguard.peers", "must have a tunnel_ip each that nobody else has, this node included")


def _bad(draft: Draft) -> set[str]:
    """Return the keys that have been complained about."""
    return {complaint.key for complaint in draft.complaints}


def draft_value(draft: Draft, name: str) -> str | None:
    """Return what the file says for a key, as it may be shown; None when it says nothing."""
    section, _, last = name.rpartition(".")
    key = next(entry.key for entry in entries(section) if entry.name == last)
    return key.show(draft.given[name]) if name in draft.given and not key.secret else None


def _refreshed_before_too_old(draft: Draft) -> None:
    refresh, age = draft.values.get("publish.refresh_interval_secs"), draft.values.get(AGE)
    if refresh is not None and age is not None and age <= refresh:
        draft.complain(AGE, f"must be more than publish.refresh_interval_secs ({refresh:g})")


CHECKS: tuple[Callable[[Draft], None], ...] = (
    _exactly_one_target,
    _onion_in_its_place,
    _exclusive,
    _dependent,
    _control_socket_fits,
    _room_for_tor,
    _sockets_differ,
    _no_circle,
    _not_our_own_address,
    *TOR_CHECKS,
    _token_where_needed,
    _previous_token,
    _timings,
    _wireguard,
    _refreshed_before_too_old,
)
