"""
The shape of the house: which way imports go, what is pure, how large a file may be, and that each has its test.

C{ARCHITECTURE.md} draws the same picture for people.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rustbalance"

#: Each room and the rooms it may import from, besides itself.
GROUND = {"moment", "files", "secrets"}
DIRECTIONS: dict[str, set[str]] = {
    "moment": set(),
    "files": set(),
    "secrets": set(),
    "life": {"moment"},
    "onion": {"secrets"},
    "cluster": {"moment", "secrets", "onion"},
    "secret_files": {"files", "secrets"},
    "key_files": GROUND | {"secret_files", "onion"},
    "ops": {"life", "files", "moment"},
    "config": GROUND | {"secret_files", "onion"},
    "tor": GROUND | {"life", "secret_files", "key_files", "onion", "ops"},
    "publishing": GROUND | {"life", "onion", "tor", "ops"},
    "proxy": GROUND | {"life", "ops"},
    "mesh": GROUND | {"life", "secret_files", "key_files", "onion", "cluster", "tor", "proxy", "ops"},
    "coordination": GROUND
    | {"life", "secret_files", "key_files", "onion", "cluster", "mesh", "tor", "publishing", "ops"},
    "joining": GROUND | {"life", "cluster", "mesh", "tor", "proxy"},
    "health": GROUND | {"life", "onion", "cluster", "tor", "publishing", "proxy", "mesh", "coordination", "ops"},
    "testing": GROUND | {"life"},
    "wiring": {"config", "tor", "publishing", "proxy", "cluster", "mesh", "coordination", "joining", "health"},
    "tors": {"config", "onion", "ops", "proxy", "tor", "wiring"},
    "building": GROUND
    | {"life", "key_files", "onion", "config", "tor", "publishing", "proxy", "ops", "wiring", "mesh", "coordination"}
    | {"joining", "health", "tors"},
    "node": GROUND | {"life", "key_files", "config", "tor", "proxy", "ops", "mesh", "joining", "building"},
    "tap": GROUND | {"life", "config", "node", "ops"},
    "provisioning": GROUND | {"secret_files", "key_files", "onion", "config", "cluster", "joining", "tor"},
    "lab": GROUND
    | {"life", "secret_files", "key_files", "onion", "cluster", "config", "tor", "proxy", "ops"}
    | {"provisioning"},
    "cli": GROUND
    | {"life", "secret_files", "key_files", "onion", "config", "cluster", "joining", "ops", "lab"}
    | {"provisioning"},
}

#: Modules (or whole rooms) that decide and never act: no I/O, no clock, no randomness of their own.
PURE = (
    "rustbalance.moment",
    "rustbalance.cluster",
    "rustbalance.health.diagnosis",
    "rustbalance.health.clock",
    "rustbalance.health.findings",
    "rustbalance.health.probing",
    "rustbalance.health.proof",
    "rustbalance.health.repair",
    "rustbalance.health.visits",
    "rustbalance.onion",
    "rustbalance.coordination.offsets",
    "rustbalance.coordination.fitness",
    "rustbalance.mesh.outbox",
    "rustbalance.mesh.streams",
    "rustbalance.mesh.datagrams",
    "rustbalance.mesh.tunnel_addresses",
    "rustbalance.mesh.wg_config",
    "rustbalance.mesh.wg_report",
    "rustbalance.joining.endpoint",
    "rustbalance.ops.directories",
    "rustbalance.ops.draining",
    "rustbalance.ops.status",
    "rustbalance.ops.summary",
    "rustbalance.wiring",
    "rustbalance.proxy.bodies",
    "rustbalance.proxy.canonical",
    "rustbalance.proxy.framing",
    "rustbalance.proxy.heads",
    "rustbalance.proxy.pages",
    "rustbalance.proxy.place",
    "rustbalance.proxy.policy",
    "rustbalance.proxy.reading",
    "rustbalance.proxy.request",
    "rustbalance.proxy.request_rules",
    "rustbalance.proxy.reserved",
    "rustbalance.proxy.response",
    "rustbalance.proxy.response_rules",
    "rustbalance.proxy.settings",
    "rustbalance.proxy.socks5",
    "rustbalance.publishing.commands",
    "rustbalance.publishing.delivery",
    "rustbalance.publishing.lanes",
    "rustbalance.publishing.offers",
    "rustbalance.publishing.report",
    "rustbalance.publishing.schedule",
    "rustbalance.publishing.settings",
    "rustbalance.publishing.track",
    "rustbalance.publishing.uploads",
    "rustbalance.publishing.urgency",
    "rustbalance.publishing.verification",
    "rustbalance.tor.backoff",
    "rustbalance.tor.events",
    "rustbalance.tor.failures",
    "rustbalance.tor.lifecycle",
    "rustbalance.tor.pairing",
    "rustbalance.tor.replies",
    "rustbalance.tor.torrc",
)
FORBIDDEN_IN_PURE = {
    "twisted",
    "txtorcon",
    "os",
    "socket",
    "time",
    "random",
    "secrets",
    "subprocess",
    "asyncio",
    "select",
}

LONGEST_MODULE = 300
LONGEST_FUNCTION = 60

#: Modules that are tested where they are used, with the place.
TESTED_ELSEWHERE: dict[str, str] = {}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the path of every module of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    """Yield every module that the file names in an import, also those inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room(name: str) -> str:
    """Return the room of a dotted name inside the package ('' for the package itself)."""
    return [*name.split("."), ""][1]


def is_pure(name: str) -> bool:
    """Say whether the module is one that only decides."""
    return any(name == pure or name.startswith(pure + ".") for pure in PURE)


def definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


class LayoutTests(SynchronousTestCase):
    """The rules that a glance at the tree should confirm."""

    def test_imports_go_one_way(self) -> None:
        """A room imports only from the rooms that its line in DIRECTIONS allows."""
        wrong = [
            f"{name} imports {wanted}"
            for name, path in modules()
            for wanted in imports(path)
            if wanted.startswith("rustbalance.")
            and room(wanted) != room(name)
            and room(wanted) not in DIRECTIONS.get(room(name), set())
        ]
        self.assertEqual(wrong, [])

    def test_directions_have_no_circle(self) -> None:
        """Every room can be entered after all those that it may import from."""
        entered: set[str] = set()
        while ready := {name for name, wanted in DIRECTIONS.items() if wanted <= entered} - entered:
            entered |= ready
        self.assertEqual(set(DIRECTIONS) - entered, set())

    def test_every_room_is_known(self) -> None:
        """A new room says here which way its imports go."""
        self.assertEqual({room(name) for name, _ in modules()} - {""} - set(DIRECTIONS), set())

    def test_pure_modules_import_nothing_that_acts(self) -> None:
        """Code that decides cannot reach a reactor, a clock, a file or a socket."""
        wrong = [
            f"{name} imports {wanted}"
            for name, path in modules()
            if is_pure(name)
            for wanted in imports(path)
            if wanted.split(".")[0] in FORBIDDEN_IN_PURE
        ]
        self.assertEqual(wrong, [])

    def test_only_the_edge_imports_the_reactor(self) -> None:
        """The global reactor is handed in from tap.py and from the entry points of commands."""
        users = {name for name, path in modules() if "from twisted.internet import reactor" in path.read_text()}
        self.assertLessEqual(users, {"rustbalance.tap", "rustbalance.lab.soak", "rustbalance.lab.network"})

    def test_modules_are_small(self) -> None:
        """No module grows past the length that one sitting can read."""
        long = [
            f"{name}: {count}" for name, path in modules() if (count := path.read_text().count("\n")) > LONGEST_MODULE
        ]
        self.assertEqual(long, [])

    def test_functions_are_small(self) -> None:
        """No function needs scrolling."""
        long = [
            f"{name}.{node.name}: {length}"
            for name, path in modules()
            for node in definitions(path)
            if (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
        ]
        self.assertEqual(long, [])

    def test_modules_say_what_they_own(self) -> None:
        """Each module opens with what it owns, what goes in and what comes out."""
        silent = [
            name
            for name, path in modules()
            if path.name != "__init__.py" and "Owns:" not in (ast.get_docstring(ast.parse(path.read_text())) or "")
        ]
        self.assertEqual(silent, [])

    def test_modules_have_a_test_file(self) -> None:
        """tests/ mirrors the package."""
        missing = [
            name
            for name, path in modules()
            if path.name not in ("__init__.py", "__main__.py")
            and name not in TESTED_ELSEWHERE
            and not (ROOT / "tests" / path.relative_to(PACKAGE).parent / f"test_{path.name.lstrip('_')}").exists()
        ]
        self.assertEqual(missing, [])

    def test_tests_state_their_intent(self) -> None:
        """Every test has a docstring."""
        silent = [
            f"{path.name}:{node.name}"
            for path in sorted((ROOT / "tests").rglob("test_*.py"))
            for node in definitions(path)
            if node.name.startswith("test_") and not ast.get_docstring(node)
        ]
        self.assertEqual(silent, [])
