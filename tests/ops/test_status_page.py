"""What people read."""

import io
from functools import partial

import msgspec
from rich.console import Console, RenderableType
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.status import (
    CanaryStatus,
    ClusterStatus,
    Health,
    MemoryStatus,
    NodeStatus,
    PairStatus,
    Sighting,
)
from rustbalance.ops.status_page import duration, page, size
from tests.ops import statuses
from tests.ops.statuses import instance, member

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
descriptor = partial(statuses.descriptor, period=20045, revision=2718281828, age_secs=83.0)
PROXY = statuses.proxy(connections_active=2, connections_total=1204, bytes_in=13_000_000, bytes_out=430_000_000)


def status(**changes: object) -> NodeStatus:
    """Return the status of a healthy node."""
    fine = statuses.node(
        version="0.1.0",
        onion_address=ONION,
        uptime_secs=7325.0,
        descriptors=(descriptor(), descriptor(seat="second", period=20046)),
        proxy=PROXY,
        memory=MemoryStatus(locked=True, locked_bytes=32768),
    )
    return msgspec.structs.replace(fine, **changes)


def cluster(**changes: object) -> ClusterStatus:
    """Return a cluster of three, one of which is gone."""
    fine = msgspec.structs.replace(
        statuses.cluster("alpha", "beta", beta="healthy"),
        members=(member("alpha"), member("beta", silent_secs=1.2), member("gamma", "dead", silent_secs=None)),
        term=4,
        lease_left_secs=6.7,
        phase="standby",
        links_up=1,
        links_down=1,
        messages_rejected={"replay": 1234, "unknown_key": 1},
    )
    return msgspec.structs.replace(fine, **changes)


def printed(what: RenderableType, width: int = 100) -> str:
    """Return what a terminal of that width without colours shows."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(what)
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


class PageTests(SynchronousTestCase):
    """The page of status."""

    def test_points_left_out(self) -> None:
        """A descriptor that does not list every point there is says of how many it is made."""
        shown = printed(page(status(descriptors=(descriptor(introduction_points=7, left_out=2), descriptor()))))
        self.assertIn(" 7 of 9 ", shown)

    def test_cluster(self) -> None:
        """Each node with its state and when it was heard, who publishes, the lease, the links, what was refused."""
        shown = printed(page(status(cluster=cluster())))
        for part in (
            "this node",
            "1 s ago",
            "never",
            "dead",
            "publishes",
            "beta (takeover 4, lease for 7 s)",
            "standby; what it knows is certain",
            "1 up, 1 down (direct)",
            "1,234 replay, 1 unknown_key",
        ):
            self.assertIn(part, shown)

    def test_cluster_without_a_publisher(self) -> None:
        """That nobody publishes stands out; that nothing was refused is said."""
        shown = printed(page(status(cluster=cluster(publisher=None, messages_rejected={}))))
        self.assertIn("nobody (takeover 4)", shown)
        self.assertRegex(shown, r"refused messages +none")
        self.assertNotIn("publishes", shown)

    def test_canary(self) -> None:
        """What visits to the address have come to: the latest, how many, and who has answered when."""
        seen = (
            Sighting(node="alpha", instance="primary", age_secs=61.0, count=1200),
            Sighting(node="beta", instance="standby", age_secs=7200.0, count=3),
        )
        canary = CanaryStatus(
            visits=1500,
            failures=2,
            passed_age_secs=61.0,
            last="nothing came in time",
            through="scout",
            seen=seen,
            diagnosis=None,
        )
        text = printed(page(status(canary=canary)))
        self.assertRegex(text, r"the latest +nothing came in time")
        self.assertRegex(text, r"in all +1,500, the last 2 failed, through Tor \(scout\)")
        self.assertRegex(text, r"alpha \(primary\) +answered 1,200, 1 min 1 s ago")
        self.assertRegex(text, r"beta \(standby\) +answered 3, 2 h ago")
        none = CanaryStatus(
            visits=0, failures=0, passed_age_secs=None, last="none yet", through=None, seen=(), diagnosis=None
        )
        self.assertRegex(printed(page(status(canary=none))), r"the latest +none yet")
        self.assertNotIn("Visits to our address", printed(page(status())))

    def test_alone(self) -> None:
        """A node that has met nobody shows what a node without a cluster shows."""
        alone = cluster(members=cluster().members[:1])
        self.assertEqual(printed(page(status(cluster=alone))), printed(page(status())))

    def test_healthy(self) -> None:
        """The address whole on one line, and each fact an operator asks for."""
        shown = printed(page(status()))
        self.assertTrue(shown.startswith("● healthy   alpha   rustbalance 0.1.0   up 2 h 2 min"))
        for part in (
            f"http://{ONION}/",
            "primary (managed)",
            "100 %  Done",
            "4242",
            "8 of 8",
            "1 min 23 s ago",
            "20046",
            "2 now, 1,204 in all",
            "12.4 MiB in, 410.1 MiB out",
            "answers",
            "locked in memory (32.0 KiB)",
        ):
            self.assertIn(part, shown)
        self.assertNotIn("!", shown)

    def test_troubled(self) -> None:
        """Problems come first, as sentences; what is unknown or never happened is said in words."""
        shown = printed(
            page(
                status(
                    health=Health.DOWN,
                    problems=("Tor (primary) is bootstrapping at 45 %", "the target does not answer"),
                    instances=(instance(phase="bootstrapping", bootstrap_percent=45, pid=None, tor_version=None),),
                    descriptors=(descriptor(published=False, confirmed=2, revision=None, age_secs=None),),
                    memory=MemoryStatus(locked=False, locked_bytes=0),
                )
            )
        )
        head, tables = shown.split("Tor ", 1)
        self.assertIn("● down", head)
        self.assertIn("! Tor (primary) is bootstrapping at 45 %", shown)
        for part in ("2 of 8", "never", "NOT all locked"):
            self.assertIn(part, tables)

    def test_the_one_in_use(self) -> None:
        """Of the two Tors that serve, the one is marked that is asked and that streams go through."""
        pair = PairStatus(active="standby", phase="standby", switches=1)
        shown = printed(page(status(instances=(instance(), instance(name="standby")), pair=pair)))
        self.assertIn("standby (managed), in use", shown)
        self.assertNotIn("primary (managed), in use", shown)

    def test_narrow(self) -> None:
        """On 80 columns nothing that matters is cut off."""
        shown = printed(page(status()), width=80)
        for part in (ONION, "8 of 8", "1 min 23 s ago", "2718281828"):
            self.assertIn(part, shown)

    def test_nothing_yet(self) -> None:
        """A node that has only just started has a page too."""
        shown = printed(page(status(instances=(), descriptors=())))
        self.assertIn("healthy", shown)

    def test_text_is_not_markup(self) -> None:
        """A problem with brackets in it is shown as it is."""
        shown = printed(page(status(problems=("[red]unix:/x[/y]",), health=Health.DEGRADED)))
        self.assertIn("[red]unix:/x[/y]", shown)
        shown = printed(page(status(instances=(instance(bootstrap_summary="[/x] y"),))))
        self.assertIn("[/x] y", shown)


class UnitTests(SynchronousTestCase):
    """Numbers for people."""

    def test_duration(self) -> None:
        """The two largest units."""
        for seconds, text in (
            (0, "0 s"),
            (0.9, "0 s"),
            (-1, "0 s"),
            (59.9, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h"),
            (7325, "2 h 2 min"),
            (86400, "1 d"),
            (90061, "1 d 1 h"),
        ):
            self.assertEqual(duration(seconds), text)

    def test_size(self) -> None:
        """Bytes in a unit that keeps them short."""
        for count, text in ((0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 * 1024**4, "5.0 TiB")):
            self.assertEqual(size(count), text)
