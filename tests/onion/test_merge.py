"""Tests for L{rustbalance.onion.merge}."""

from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.inner import InnerLayer
from rustbalance.onion.introduction import IntroductionPoint
from rustbalance.onion.merge import Merged, Offer, merge
from tests.onion.descriptors import POW, point, random_bytes

POOL = [point(number) for number in range(60)]


def offer(source: str, *numbers: int, **lines: Any) -> Offer:
    """Return what a source offers: points by number, and lines."""
    return Offer(source, InnerLayer(tuple(POOL[number] for number in numbers), **lines))


def merged(*offers: Offer, limit: int = 20, seed: int = 0) -> Merged:
    """Merge with fixed randomness."""
    return merge(offers, limit=limit, random_bytes=random_bytes(seed))


def numbers(found: Merged) -> set[int]:
    """Return the numbers of the points that were chosen."""
    return {POOL.index(each) for each in found.inner.points}


@st.composite
def any_offers(draw: st.DrawFn, shared: bool = True) -> list[Offer]:
    """Draw sources with points; with C{shared} some offer the same ones."""
    counts = draw(st.lists(st.integers(0, 8), max_size=7))
    if shared:
        return [
            offer(f"node{place}", *draw(st.lists(st.integers(0, 25), min_size=count, max_size=count, unique=True)))
            for place, count in enumerate(counts)
        ]
    starts = [sum(counts[:place]) for place in range(len(counts))]
    return [
        offer(f"node{place}", *range(start, start + count))
        for place, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]


def at(relay: int, number: int) -> IntroductionPoint:
    """Return the point with this number at the relay with that one."""
    return replace(POOL[number], link_specifiers=POOL[relay].link_specifiers)


@st.composite
def at_few_relays(draw: st.DrawFn, most: int = 7) -> list[Offer]:
    """Draw sources with points of their own, each at another one of a few relays."""
    relays = [draw(st.lists(st.integers(0, 5), max_size=4, unique=True)) for _ in range(draw(st.integers(0, most)))]
    return [
        Offer(f"node{place}", InnerLayer(tuple(at(relay, 8 * place + nth) for nth, relay in enumerate(those))))
        for place, those in enumerate(relays)
    ]


class FairnessTests(SynchronousTestCase):
    """Each source gets its share, and what one does not use goes to the others."""

    def test_twenty_of_seven_sources(self) -> None:
        """Seven sources of three points each: six keep all, one has to do with two, and none has none."""
        found = merged(*(offer(f"node{place}", *range(3 * place, 3 * place + 3)) for place in range(7)))
        shares = Counter(number // 3 for number in numbers(found))
        self.assertEqual(sorted(shares.values()), [2, 3, 3, 3, 3, 3, 3])
        self.assertEqual(found.dropped, ("1 introduction points over the limit",))

    def test_unused_shares_are_filled(self) -> None:
        """A source with few points leaves its share to those with many."""
        found = merged(offer("few", 0), offer("many", *range(1, 20)), limit=8)
        self.assertIn(0, numbers(found))
        self.assertEqual(len(numbers(found)), 8)

    @settings(deadline=None, max_examples=300)
    @given(any_offers(shared=False), st.integers(1, 20))
    def test_shares(self, offers: list[Offer], limit: int) -> None:
        """Nobody has two points more than one who would have had more to give, and no place stays empty."""
        chosen = set(merged(*offers, limit=limit).inner.points)
        self.assertEqual(len(chosen), min(limit, sum(len(each.inner.points) for each in offers)))
        taken = [len(chosen & set(each.inner.points)) for each in offers]
        for each, count in zip(offers, taken, strict=True):
            if count < len(each.inner.points):
                self.assertLessEqual(max(taken), count + 1)

    @settings(deadline=None, max_examples=300)
    @given(any_offers(), st.integers(1, 20))
    def test_each_point_once(self, offers: list[Offer], limit: int) -> None:
        """Points that several sources offer are there once, and as many as there can be are there."""
        keys = [each.auth_key for each in merged(*offers, limit=limit).inner.points]
        offered = {each.auth_key for one in offers for each in one.inner.points}
        self.assertEqual(len(keys), len(set(keys)))
        self.assertLessEqual(set(keys), offered)
        self.assertEqual(len(keys), min(limit, len(offered)))

    def test_key_at_two_relays(self) -> None:
        """An auth key is there once even when a source says that it is somewhere else."""
        found = merged(offer("a", 0, 1), Offer("b", InnerLayer((at(5, 0), at(6, 2)))))
        self.assertEqual(
            sorted(each.auth_key for each in found.inner.points), sorted(POOL[n].auth_key for n in (0, 1, 2))
        )

    def test_limits(self) -> None:
        """The limit is 1 to 20."""
        self.assertEqual(len(merged(offer("a", *range(3)), limit=1).inner.points), 1)
        for limit in (0, 21, -1):
            with self.assertRaises(ValueError):
                merged(offer("a", 0), limit=limit)

    def test_nothing_offered(self) -> None:
        """Without any point there is nothing to publish, and that is no error here."""
        self.assertEqual(merged().inner, InnerLayer(()))
        self.assertEqual(merged(offer("a", pow_params=POW)).inner, InnerLayer(()))


class OrderTests(SynchronousTestCase):
    """Randomness decides the order and nothing else."""

    @settings(deadline=None)
    @given(any_offers(), st.integers(1, 20), st.randoms(use_true_random=False))
    def test_the_choice_is_settled(self, offers: list[Offer], limit: int, random: Any) -> None:
        """Whatever the randomness and the order of the offers, the same points are chosen: no endless republishing."""
        first = set(merged(*offers, limit=limit, seed=1).inner.points)
        turned = [
            Offer(each.source, InnerLayer(tuple(random.sample(each.inner.points, len(each.inner.points)))))
            for each in random.sample(offers, len(offers))
        ]
        self.assertEqual(set(merged(*turned, limit=limit, seed=2).inner.points), first)

    def test_shuffled(self) -> None:
        """The place of a point does not tell whose it is: each point comes first now and then."""
        firsts = {merged(offer("a", 0, 1, 2), offer("b", 3, 4, 5), seed=seed).inner.points[0] for seed in range(100)}
        self.assertEqual(firsts, set(POOL[:6]))


class LineTests(SynchronousTestCase):
    """Only lines that hold for all points stay."""

    def test_agreement(self) -> None:
        """What all sources say is kept."""
        lines: dict[str, Any] = {
            "flow_control": "1-2 31",
            "single_onion_service": True,
            "intro_auth_required": "ed25519",
            "create2_formats": (2, 3),
        }
        found = merged(offer("a", 0, **lines), offer("b", 1, **lines))
        self.assertEqual(replace(found.inner, points=()), InnerLayer((), **lines))
        self.assertEqual(found.dropped, ())

    def test_disagreement(self) -> None:
        """What one says and another does not is left out, and said."""
        for lines, keyword in (
            ({"flow_control": "1-2 31"}, "flow-control"),
            ({"single_onion_service": True}, "single-onion-service"),
            ({"intro_auth_required": "ed25519"}, "intro-auth-required"),
        ):
            for offers in ([offer("a", 0, **lines), offer("b", 1)], [offer("a", 0), offer("b", 1, **lines)]):
                found = merged(*offers)
                self.assertEqual(replace(found.inner, points=()), InnerLayer(()))
                self.assertEqual(found.dropped, (f"{keyword}: not all sources have the same",))

    def test_different_values(self) -> None:
        """Different flow-control lines are no agreement."""
        found = merged(offer("a", 0, flow_control="1-2 31"), offer("b", 1, flow_control="1-2 30"))
        self.assertIsNone(found.inner.flow_control)

    def test_formats_that_all_have(self) -> None:
        """Of the CREATE2 formats those stay that every source speaks."""
        found = merged(offer("a", 0, create2_formats=(3, 2, 4)), offer("b", 1, create2_formats=(2, 4)))
        self.assertEqual(found.inner.create2_formats, (2, 4))

    def test_one_source(self) -> None:
        """A source that is alone keeps its proof of work and what we do not know, unchanged."""
        alone = offer("a", 0, 1, pow_params=POW, other_lines=("new line",), flow_control="1-2 31")
        found = merged(alone)
        self.assertEqual(replace(found.inner, points=()), replace(alone.inner, points=()))
        self.assertEqual((numbers(found), found.dropped), ({0, 1}, ()))

    def test_a_source_without_points_has_no_say(self) -> None:
        """One that offers no point neither takes the others' lines away nor makes them two."""
        found = merged(offer("a", 0, pow_params=POW, flow_control="1-2 31"), offer("b"))
        self.assertEqual((found.inner.pow_params, found.inner.flow_control), (POW, "1-2 31"))

    def test_proof_of_work_of_two(self) -> None:
        """Each Tor has a seed of its own, so with two there is none; that is said, since a defence goes off."""
        found = merged(offer("a", 0, pow_params=POW, other_lines=("new line",)), offer("b", 1))
        self.assertEqual((found.inner.pow_params, found.inner.other_lines), (None, ()))
        self.assertEqual(
            found.dropped,
            ("pow-params: there is more than one source", "other lines: there is more than one source"),
        )

    def test_same_proof_of_work_of_two(self) -> None:
        """Not even the same line is kept: the points of one would still not take solutions for the other."""
        found = merged(offer("a", 0, pow_params=POW), offer("b", 1, pow_params=POW))
        self.assertIsNone(found.inner.pow_params)

    def test_lines_of_points_stay(self) -> None:
        """Lines of a later Tor inside a point go with the point."""
        odd: IntroductionPoint = replace(POOL[0], other_lines=("new line",))
        found = merged(Offer("a", InnerLayer((odd,))), offer("b", 1))
        self.assertIn(odd, found.inner.points)


class SharedRelayTests(SynchronousTestCase):
    """A client takes the first point at a relay for all that are there, so there must not be a second."""

    @settings(deadline=None, max_examples=300)
    @given(at_few_relays(), st.integers(1, 20))
    def test_each_relay_once(self, offers: list[Offer], limit: int) -> None:
        """No relay is there twice, as many as there can be are there, and it is said how many points are not."""
        found = merged(*offers, limit=limit)
        relays = [each.relay for each in found.inner.points]
        offered = [each for one in offers for each in one.inner.points]
        self.assertEqual(len(relays), len(set(relays)))
        self.assertEqual(len(relays), min(limit, len({each.relay for each in offered})))
        self.assertEqual(found.left_out, len(offered) - len(relays))
        self.assertLessEqual(set(found.inner.points), set(offered))

    @settings(deadline=None, max_examples=300)
    @given(at_few_relays(most=3))
    def test_fair(self, offers: list[Offer]) -> None:
        """No other choice gives more to who has least: all of them are tried."""
        chosen = set(merged(*offers).inner.points)
        shares = sorted(len(chosen & set(each.inner.points)) for each in offers)
        there: dict[bytes, list[int]] = {}
        for place, each in enumerate(offers):
            for point_there in each.inner.points:
                there.setdefault(point_there.relay, []).append(place)
        every = (Counter(owners) for owners in product(*there.values()))
        best = max((sorted(counts[place] for place in range(len(offers))) for counts in every), default=[])
        self.assertEqual(shares, best)

    def test_the_poor_first(self) -> None:
        """Who has no relay of its own keeps the one it shares."""
        poor = Offer("poor", InnerLayer((at(0, 3),)))
        found = merged(Offer("rich", InnerLayer((at(0, 0), at(1, 1), at(2, 2)))), poor)
        self.assertEqual(set(found.inner.points), {at(0, 3), at(1, 1), at(2, 2)})
        self.assertEqual((found.left_out, found.dropped), (1, ()))

    def test_over_the_limit(self) -> None:
        """What is at a relay of another is not counted as over the limit."""
        found = merged(offer("a", 0, 1, 2), Offer("b", InnerLayer((at(0, 3),))), limit=2)
        self.assertEqual((found.left_out, found.dropped), (2, ("1 introduction points over the limit",)))
