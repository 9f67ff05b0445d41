"""Whether nodes are one service, from what they say."""

from msgspec import structs
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.union import holds, publisher_of, sources, whole
from tests.lab.statuses import descriptor, member_status
from tests.ops.statuses import instance

BOTH = {"a", "b"}
A = member_status("a", "a", ("a", "b"), 6)
B = member_status("b", "a")


class UnionTests(SynchronousTestCase):
    """Two nodes, a and b."""

    def test_one_service(self) -> None:
        """Both name the publisher, and its descriptors have the points of both."""
        self.assertTrue(whole([A, B], BOTH))
        self.assertEqual(publisher_of([A, B]), "a")
        assert A.cluster is not None
        self.assertEqual(sources(A.cluster), BOTH)

    def test_not_agreed(self) -> None:
        """Two publishers, none, or one that the other does not know of: that is not one service."""
        for other in (member_status("b", "b", ("b",), 3), member_status("b", None), None):
            self.assertFalse(whole([A, other], BOTH), other)
        self.assertIsNone(publisher_of([A, member_status("b", "b")]))
        self.assertIsNone(publisher_of([B, None]))

    def test_points(self) -> None:
        """As many points as so many nodes have: not those of one fewer, nor of one more; a missing one is no matter."""
        for points, right in ((3, False), (4, True), (6, True), (7, False)):
            self.assertEqual(holds(member_status("a", "a", ("a", "b"), points), BOTH), right, points)

    def test_points_left_out(self) -> None:
        """Points that are offered and not listed count: a descriptor has room for twenty, and for one at each relay."""
        for left_out, right in ((1, False), (2, True), (4, True), (5, False)):
            seats = tuple(structs.replace(descriptor(seat, 2), left_out=left_out) for seat in ("first", "second"))
            self.assertEqual(holds(structs.replace(A, descriptors=seats), BOTH), right, left_out)

    def test_a_tor_that_is_not_up(self) -> None:
        """As long as one of their Tors does not serve, they are not complete."""
        down = structs.replace(B, instances=(instance("standby", "bootstrapping"),))
        self.assertFalse(whole([A, down], BOTH))
        up = structs.replace(B, instances=(instance("standby", "serving"),))
        self.assertTrue(whole([A, up], BOTH))

    def test_wrong_sources(self) -> None:
        """What is still to be published does not count, nor do descriptors that are not confirmed."""
        self.assertFalse(holds(member_status("a", "a", ("a",), 6), BOTH))
        seats = (descriptor("first", 6), descriptor("second", 6, published=False))
        self.assertFalse(holds(structs.replace(A, descriptors=seats), BOTH))
        self.assertFalse(holds(B, BOTH))
        self.assertFalse(holds(structs.replace(A, cluster=None), BOTH))
