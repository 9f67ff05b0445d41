"""Tests for L{rustbalance.ops.status}."""

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.status import (
    DescriptorStatus,
    Health,
    InstanceStatus,
    MemoryStatus,
    NodeStatus,
    ProxyStatus,
    judge,
)

INSTANCE = InstanceStatus(
    name="primary",
    mode="managed",
    phase="serving",
    bootstrap_percent=100,
    bootstrap_summary="Done",
    pid=1,
    restarts=0,
    tor_version="0.4.9.11",
    problem=None,
)
DESCRIPTOR = DescriptorStatus(
    seat="first",
    period=7,
    introduction_points=3,
    revision=9,
    directories=8,
    confirmed=8,
    published=True,
    age_secs=1.0,
    problem=None,
)
PROXY = ProxyStatus(
    listening="unix:front.sock",
    connections_active=0,
    connections_total=0,
    requests_total=0,
    bytes_in=0,
    bytes_out=0,
    target_healthy=None,
)
replace = msgspec.structs.replace


class JudgeTests(SynchronousTestCase):
    """L{judge} calls a node what a visitor would call it."""

    def test_healthy(self) -> None:
        """Tor serves, both descriptors are published, the front listens: healthy, nothing to say."""
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR, DESCRIPTOR), PROXY), (Health.HEALTHY, ()))

    def test_down_without_tor(self) -> None:
        """No serving Tor means that no visitor arrives, and the sentence says how far Tor is and why."""
        starting = replace(INSTANCE, phase="bootstrapping", bootstrap_percent=45, bootstrap_summary="Loading")
        health, problems = judge((starting,), (DESCRIPTOR,), PROXY)
        self.assertEqual(health, Health.DOWN)
        self.assertEqual(problems, ("Tor (primary) is bootstrapping at 45 % (Loading)",))

    def test_down_before_the_first_publish(self) -> None:
        """A descriptor that no directory ever got leaves the address unreachable."""
        never = replace(DESCRIPTOR, age_secs=None, confirmed=0, published=False, problem="no introduction points yet")
        health, problems = judge((INSTANCE,), (never,), PROXY)
        self.assertEqual(health, Health.DOWN)
        self.assertIn("0 of 8 directories: no introduction points yet", problems[0])

    def test_degraded_by_too_few_directories(self) -> None:
        """Visitors still arrive when one descriptor lacks confirmations, but somebody should know."""
        partial = replace(DESCRIPTOR, confirmed=2, published=False)
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR, partial), PROXY)[0], Health.DEGRADED)

    def test_target_and_front(self) -> None:
        """A dead target degrades, a front that does not listen is down."""
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR,), replace(PROXY, target_healthy=False))[0], Health.DEGRADED)
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR,), replace(PROXY, listening=None))[0], Health.DOWN)

    def test_further_problems_degrade(self) -> None:
        """What other parts complain about is passed on and counts."""
        self.assertEqual(judge((INSTANCE,), (DESCRIPTOR,), PROXY, ("clock",)), (Health.DEGRADED, ("clock",)))

    def test_status_crosses_the_socket_unchanged(self) -> None:
        """Encoding and decoding give the same picture."""
        status = NodeStatus(
            version="0",
            node_id="a",
            onion_address="b",
            health=Health.HEALTHY,
            problems=("x",),
            uptime_secs=1.5,
            instances=(INSTANCE,),
            descriptors=(DESCRIPTOR,),
            proxy=PROXY,
            memory=MemoryStatus(locked=True, locked_bytes=4096),
        )
        self.assertEqual(msgspec.json.decode(msgspec.json.encode(status), type=NodeStatus), status)
