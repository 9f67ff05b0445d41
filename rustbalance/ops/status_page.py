"""
What ``rustbalance status`` shows to people.

Owns: the page. In: a ``NodeStatus``; out: rich renderables, on a terminal with colours, else as plain text.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rustbalance.ops.status import (
    CanaryStatus,
    ClusterStatus,
    DescriptorStatus,
    Health,
    InstanceStatus,
    MemberStatus,
    MemoryStatus,
    NodeStatus,
    PairStatus,
    ProxyStatus,
)

COLOURS = {Health.HEALTHY: "green", Health.DEGRADED: "yellow", Health.DOWN: "red"}
STATES = {"healthy": "green", "dead": "red"}
#: Narrower than this a table is not worth reading; a pipe or a log has no width of its own.
WIDTH = 100


def show(status: NodeStatus) -> None:
    """Print the page."""
    console = _console()
    console.print(page(status))


@contextmanager
def screen() -> Iterator[Callable[..., None]]:
    """Yield a function that shows the pages of nodes (``NodeStatus``, or a word) in place of those before."""
    with Live(console=_console(), auto_refresh=False, transient=False) as live:
        yield lambda *answers: live.update(Group(*map(_of, answers)), refresh=True)


def _of(answer: NodeStatus | str) -> RenderableType:
    if isinstance(answer, str):
        return Text.assemble(("● down", "bold red"), "  ", answer)
    return page(answer)


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console


def page(status: NodeStatus) -> RenderableType:
    """Return the whole page."""
    return Group(
        _head(status),
        *_problems(status),
        *_cluster(status.cluster),
        _instances(status.instances, status.pair),
        _descriptors(status.descriptors),
        *_canary(status.canary),
        _here(status.proxy, status.memory),
    )


def _head(status: NodeStatus) -> Text:
    return Text.assemble(
        (f"● {status.health.value}", f"bold {COLOURS[status.health]}"),
        (f"   {status.node_id}", "bold"),
        f"   rustbalance {status.version}   up {duration(status.uptime_secs)}\n",
        f"  http://{status.onion_address}/",
        f"\n  {status.summary}" if status.summary else "",
    )


def _problems(status: NodeStatus) -> Iterator[RenderableType]:
    colour = COLOURS[status.health]
    for problem in status.problems:
        line = Table.grid(padding=(0, 1))
        line.add_row(Text(" !", style=f"bold {colour}"), Text(problem, style=colour))
        yield line


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _row(table: Table, *cells: str | Text) -> None:
    """Add a row; text is shown as it is, brackets and all, never read as markup."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _below(table: Table) -> Padding:
    return Padding(table, (1, 0, 0, 2))


def _cluster(cluster: ClusterStatus | None) -> Iterator[RenderableType]:
    """Yield the other nodes and what they are to us; nothing for a node alone."""
    if cluster is None or len(cluster.members) < 2:
        return
    table = _table("Node", "state", "priority", "last heard", "", right=("priority",))
    for member in cluster.members:
        _row(
            table,
            member.id,
            Text(member.state, style=STATES.get(member.state, "yellow")),
            str(member.priority),
            _heard(member, cluster),
            "publishes" if member.id == cluster.publisher else "",
        )
    yield _below(table)
    yield _below(_mesh(cluster))


def _heard(member: MemberStatus, cluster: ClusterStatus) -> str:
    if member.id == cluster.me:
        return "this node"
    return "never" if member.silent_secs is None else f"{duration(member.silent_secs)} ago"


def _mesh(cluster: ClusterStatus) -> Table:
    table = _table("Cluster", "")
    lease = f", lease for {cluster.lease_left_secs:.0f} s" if cluster.publisher else ""
    publisher = cluster.publisher or Text("nobody", style="red")
    _row(table, "publisher", Text.assemble(publisher, f" (takeover {cluster.term}{lease})"))
    _row(table, "this node", f"{cluster.phase}; what it knows is {cluster.certainty}")
    _row(table, "links", f"{cluster.links_up} up, {cluster.links_down} down ({cluster.carrier})")
    rejected = ", ".join(f"{count:,} {reason}" for reason, count in cluster.messages_rejected.items())
    _row(table, "refused messages", rejected or "none")
    return table


def _instances(instances: tuple[InstanceStatus, ...], pair: PairStatus | None) -> Padding:
    active = None if pair is None else pair.active
    table = _table("Tor", "state", "bootstrap", "version", "pid", "restarts", right=("pid", "restarts"))
    for one in instances:
        _row(
            table,
            f"{one.name} ({one.mode})" + (", in use" if one.name == active else ""),
            Text(one.phase, style="green" if one.phase == "serving" else "yellow"),
            f"{one.bootstrap_percent} %  {one.bootstrap_summary}",
            one.tor_version or "-",
            "-" if one.pid is None else str(one.pid),
            str(one.restarts),
        )
    return _below(table)


def _descriptors(descriptors: tuple[DescriptorStatus, ...]) -> Padding:
    table = _table(
        "Descriptor", "directories", "uploaded", "points", "revision", "period", right=("points", "revision", "period")
    )
    for one in descriptors:
        _row(
            table,
            one.seat,
            _holders(one),
            "never" if one.age_secs is None else f"{duration(one.age_secs)} ago",
            _points(one.introduction_points, one.left_out),
            "-" if one.revision is None else str(one.revision),
            str(one.period),
        )
    return _below(table)


def _points(listed: int, left_out: int) -> str:
    return f"{listed} of {listed + left_out}" if left_out else str(listed)


def _holders(one: DescriptorStatus) -> Text:
    """Say how many directories took it, and how many of those gave it when they were last asked."""
    asked = one.verified_by == "fetch"
    fine = one.published and not (asked and one.verified != one.directories)
    said = f"{one.confirmed} of {one.directories}" + (f", {one.verified} give it" if asked else "")
    return Text(said, style="green" if fine else "yellow")


def _canary(canary: CanaryStatus | None) -> Iterator[RenderableType]:
    """Yield what visits to our own address have come to; nothing where there are none."""
    if canary is None:
        return
    table = _table("Visits to our address", "")
    colour = "yellow" if canary.failures else "green"
    _row(table, "the latest", Text(canary.last, style=colour if canary.visits else ""))
    if canary.visits:
        _row(table, "in all", f"{canary.visits:,}, the last {canary.failures:,} failed, through Tor ({canary.through})")
    for one in canary.seen:
        _row(table, f"{one.node} ({one.instance})", f"answered {one.count:,}, {duration(one.age_secs)} ago")
    yield _below(table)


def _here(proxy: ProxyStatus, memory: MemoryStatus) -> Padding:
    table = _table("This node", "")
    _row(table, "visitors at", proxy.listening or Text("nowhere", style="red"))
    _row(table, "connections", f"{proxy.connections_active:,} now, {proxy.connections_total:,} in all")
    _row(table, "requests", f"{proxy.requests_total:,}")
    _row(table, "traffic", f"{size(proxy.bytes_in)} in, {size(proxy.bytes_out)} out")
    _row(table, "target", _target(proxy.target_healthy))
    _row(table, "secrets", _memory(memory))
    return _below(table)


def _target(healthy: bool | None) -> Text:
    if healthy is None:
        return Text("has not been asked yet")
    return Text("answers", style="green") if healthy else Text("does not answer", style="red")


def _memory(memory: MemoryStatus) -> Text:
    if memory.locked:
        return Text(f"locked in memory ({size(memory.locked_bytes)})")
    return Text("NOT all locked in memory", style="yellow")


def duration(seconds: float) -> str:
    """Return a time in its two largest units."""
    whole = max(0, int(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, length in units:
        count, whole = divmod(whole, length)
        parts.append((count, name))
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {name}" for count, name in parts[first : first + 2] if count or name == "s")


def size(count: float) -> str:
    """Return a number of bytes in a unit that keeps it short."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
