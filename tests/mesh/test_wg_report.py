"""Tests for L{rustbalance.mesh.wg_report}; the samples were printed by the real programs."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.mesh.wg_report import (
    REACH_SECS,
    Link,
    Reach,
    UnreadableReport,
    read_allowed_ips,
    read_handshakes,
    read_link,
)

LINK = (
    '[{"ifindex":2,"ifname":"wg-t1","flags":["POINTOPOINT","MULTICAST","NOARP","UP","LOWER_UP"],"mtu":1280,'
    '"qdisc":"pfifo_fast","operstate":"UNKNOWN","group":"default","txqlen":500,"link_type":"none",'
    '"ifalias":"rustbalance abc","addr_info":[{"family":"inet","local":"10.200.200.1","prefixlen":24},'
    '{"family":"inet6","local":"fe80::d667:c3c8:de9:11f9","prefixlen":64,"scope":"link"}]}]'
)
ALLOWED = "+YVXw9ATVq+VGYkrF2zaGJQo1eras86C/YbYu1rHNmU=\t10.200.200.2/32 fd00::2/128\nB=\t(none)\n"


class ReadingTests(SynchronousTestCase):
    """Output becomes values."""

    def test_link(self) -> None:
        """An interface with all that matters of it."""
        addresses = frozenset({"10.200.200.1", "fe80::d667:c3c8:de9:11f9"})
        self.assertEqual(read_link(LINK, "wg-t1"), Link(True, "rustbalance abc", addresses, 1280))

    def test_link_that_is_down(self) -> None:
        """An interface that is down, without alias and addresses, behind the empty objects of older versions."""
        output = '[{},{"ifname":"wg-t1","flags":["POINTOPOINT","NOARP"],"addr_info":[]}]'
        self.assertEqual(read_link(output, "wg-t1"), Link(False, "", frozenset(), 0))

    def test_peers(self) -> None:
        """Networks and times by key; none is none."""
        self.assertEqual(
            read_allowed_ips(ALLOWED),
            {
                "+YVXw9ATVq+VGYkrF2zaGJQo1eras86C/YbYu1rHNmU=": frozenset({"10.200.200.2/32", "fd00::2/128"}),
                "B=": frozenset(),
            },
        )
        self.assertEqual(read_handshakes("A=\t1790000000\nB=\t0\n"), {"A=": 1790000000, "B=": 0})
        self.assertEqual((read_allowed_ips(""), read_handshakes("")), ({}, {}))

    def test_unreadable(self) -> None:
        """Output of another form is an error and not half a value."""
        for output in ("", "Device does not exist", "{}", "[]", '[{"ifname":"other"}]', '[{"ifname":3}]'):
            self.assertRaises(UnreadableReport, read_link, output, "wg-t1")
        self.assertRaises(UnreadableReport, read_allowed_ips, "A= 10.0.0.1/32")
        for output in ("A=\tsoon", "A=\t1\t2", "A=\t-1"):
            self.assertRaises(UnreadableReport, read_handshakes, output)


class ReachTests(SynchronousTestCase):
    """Who answers."""

    def test_new_handshakes_count(self) -> None:
        """A peer is within reach from its first handshake until three minutes after its last, on our own clock."""
        reach = Reach()
        reach.observe({"a": 0, "b": 5_000_000_000}, 10.0)
        self.assertEqual(reach.within(10.0), {"b"})
        reach.observe({"a": 7, "b": 5_000_000_000}, 100.0)
        self.assertEqual(reach.within(100.0), {"a", "b"})
        self.assertEqual(reach.within(10.0 + REACH_SECS), {"a"})
        reach.observe({"a": 7, "b": 3}, 300.0)  # the wall clock was set back
        self.assertEqual(reach.within(300.0), {"b"})

    def test_gone(self) -> None:
        """A peer that is removed, and one whose interface is lost, is out of reach until it answers again."""
        reach = Reach()
        reach.observe({"a": 1, "b": 1}, 0.0)
        reach.observe({"a": 1}, 1.0)
        self.assertEqual(reach.within(1.0), {"a"})
        reach.forget()
        reach.observe({"a": 0}, 2.0)
        self.assertEqual(reach.within(2.0), frozenset())
        reach.observe({"a": 1}, 3.0)
        self.assertEqual(reach.within(3.0), {"a"})
