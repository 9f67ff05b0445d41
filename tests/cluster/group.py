"""A few cores that are told by hand what the others say."""

from collections import deque
from collections.abc import Sequence

from rustbalance.cluster.commands import Command, Send
from rustbalance.cluster.core import ClusterCore
from rustbalance.cluster.messages import Heartbeat, IntroPoints, Message, NodeRecord, PeerState, State
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.moment import Moment

WALL = 1_800_000_000.0


def record(node: str, incarnation: int = 0, priority: int = 100, bundle: bytes = b"") -> NodeRecord:
    """Return a record of the node of that name; keys are in the order of names."""
    key = node.encode().ljust(32, b".")
    return NodeRecord(node, key, incarnation, priority, (f"direct:{node}:1",), bundle=bundle)


def points(node: str = "", inner: bytes = b"points", version: int = 1, instance: str = "primary") -> IntroPoints:
    """Return a set of introduction points; what they are does not matter here."""
    return IntroPoints(source=node or "me", version=version, sent_at=WALL, inner=inner, instance=instance)


def heartbeat(
    beat: int,
    incarnation: int = 1,
    state: State = State.HEALTHY,
    states: Sequence[PeerState] = (),
    term: int = 0,
    publisher: str | None = None,
    lease_left: float = 0.0,
    points_version: int = 0,
    drained: bool = False,
) -> Heartbeat:
    """Return a heartbeat."""
    return Heartbeat(
        beat=beat,
        incarnation=incarnation,
        priority=100,
        state=state,
        states=tuple(states),
        term=term,
        publisher=publisher,
        lease_left=lease_left,
        points_version=points_version,
        drained=drained,
    )


class Group:
    """Cores that all know each other and hear everything at once; ``now`` is the time of all."""

    def __init__(self, *names: str, settings: ClusterSettings | None = None, bundle: bytes = b"") -> None:
        self.now = 100.0
        self.commands: dict[str, list[Command]] = {name: [] for name in names}
        self.cores = {
            name: ClusterCore(record(name, bundle=bundle), settings or ClusterSettings(), None, lambda: 0.5)
            for name in names
        }
        self.deaf: set[str] = set()
        for core in self.cores.values():
            core.learn([record(name, bundle=bundle) for name in names], self.moment)
        for name in names:
            self.do(name, self.cores[name].start(self.moment))

    @property
    def moment(self) -> Moment:
        """The present."""
        return Moment(self.now, WALL + self.now)

    def do(self, name: str, commands: Sequence[Command]) -> None:
        """Note what a core wants done, and deliver what it says, and so on until everybody is silent."""
        waiting = deque((name, command) for command in commands)
        while waiting:
            sender, command = waiting.popleft()
            self.commands[sender].append(command)
            if isinstance(command, Send):
                for target in self.cores if command.to is None else [command.to]:
                    waiting += ((target, each) for each in self._deliver(sender, target, command.message))

    def run(self, seconds: float) -> None:
        """Let time pass in steps of a tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            for name, core in self.cores.items():
                due = core.due()
                if name not in self.deaf and due is not None and due <= self.now:
                    self.do(name, core.wake(self.moment))

    def told(self, name: str, kind: type[Command]) -> list[Command]:
        """Return the commands of one kind that a core has given."""
        return [command for command in self.commands[name] if isinstance(command, kind)]

    def _deliver(self, sender: str, target: str, message: Message) -> Sequence[Command]:
        if target == sender or target not in self.cores or {sender, target} & self.deaf:
            return []
        return self.cores[target].receive(sender, message, self.moment)
