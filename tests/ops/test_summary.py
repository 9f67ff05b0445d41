"""How the node is, in one sentence."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.ops.status import Health, NodeStatus, judge
from rustbalance.ops.summary import summarize
from tests.ops.statuses import cluster, descriptor, instance, node

BROKEN = instance(phase="waiting", problem="tor cannot be started: No such file or directory")


def summary(status: NodeStatus, health: Health = Health.DOWN, *, drained: bool = False) -> str:
    """Return the sentence for a status of that health."""
    facts = status.instances, status.descriptors, status.proxy, status.cluster, status.problems
    return summarize(health, *facts, drained=drained)


class SummaryTests(SynchronousTestCase):
    """What is wrong, the worst first, and what is being done about it."""

    def test_well(self) -> None:
        """A healthy node needs few words."""
        self.assertEqual(summary(node(), Health.HEALTHY), "visitors are served")

    def test_everything_broken(self) -> None:
        """No Tor, no target, no other node, no directory: all of it in one sentence, with the remedy for each."""
        broken = node(
            instances=(BROKEN, instance("standby", "bootstrapping", bootstrap_percent=45)),
            proxy=replace(node().proxy, target_healthy=False),
            cluster=cluster(a="dead", b="dead"),
            descriptors=(descriptor(published=False, confirmed=2),),
        )
        self.assertEqual(
            summary(broken),
            "no visitor can reach this node: no Tor serves (primary: tor cannot be started: No such file or directory; "
            "it is being started again; standby: it is at 45 % of its start), the target does not answer (it is asked "
            "again and again), no other node is heard (they are called again and again), only 2 of 8 directories have "
            "confirmed (they are tried again)",
        )

    def test_one_of_two(self) -> None:
        """One Tor of two, one node of three, are worth a word each."""
        half = node(instances=(BROKEN, instance("standby")), cluster=cluster(a="dead", b="healthy"))
        found = summary(half, Health.DEGRADED)
        self.assertTrue(found.startswith("visitors are served, but Tor (primary) does not serve (tor cannot"), found)
        self.assertTrue(found.endswith("a is not heard (called again and again)"), found)

    def test_scout(self) -> None:
        """A Tor that serves nobody is not why visitors do not come."""
        scout = instance("scout", "waiting", serves_visitors=False)
        found = node(instances=(instance(), scout), problems=("Tor (scout) is waiting", "the clock is behind"))
        self.assertEqual(
            summary(found, Health.DEGRADED), "visitors are served, but Tor (scout) is waiting (and 1 more)"
        )

    @settings(deadline=None, max_examples=500)
    @given(st.data())
    def test_whatever_is_wrong(self, data: st.DataObject) -> None:
        """In every combination of things that may be wrong, the sentence and the problems say what it is."""
        phases = st.sampled_from(["starting", "bootstrapping", "serving", "waiting", "stopped"])
        instances = tuple(
            instance(name, data.draw(phases), serves_visitors=name != "scout") for name in ("primary", "scout")
        )
        front = replace(
            node().proxy,
            listening=data.draw(st.sampled_from([None, "unix:x"])),
            target_healthy=data.draw(st.sampled_from([None, True, False])),
        )
        never = descriptor(published=False, confirmed=0, age_secs=None)
        descriptors = data.draw(st.sampled_from([(), (descriptor(),), (never,), (descriptor(), never)]))
        publisher = data.draw(st.sampled_from([None, "alpha", "b"]))
        state = data.draw(st.sampled_from(["healthy", "dead", "joining", "initializing"]))
        others = replace(cluster(publisher=publisher, b=state), sources=data.draw(st.sampled_from([(), ("alpha/x",)])))
        among = data.draw(st.sampled_from([None, others]))
        problems = data.draw(st.sampled_from([(), ("Tor has no introduction points",)]))
        drained = data.draw(st.booleans())
        health, found = judge(instances, descriptors, front, problems, among, drained=drained)
        sentence = summarize(health, instances, descriptors, front, among, found, drained=drained)
        self.assertEqual(health is Health.HEALTHY, not found, found)
        self.assertEqual(health is Health.HEALTHY, sentence == "visitors are served", sentence)
        self.assertNotIn("not known", sentence)
        self.assertEqual(drained, "drained" in sentence, sentence)
        self.assertNotIn("\n", sentence)

    def test_no_publisher(self) -> None:
        """Nobody publishes; somebody will."""
        self.assertIn("no node publishes", summary(node(cluster=cluster(publisher=None, a="healthy"))))

    def test_no_front(self) -> None:
        """Nobody can come in."""
        self.assertIn("the front does not listen", summary(node(proxy=replace(node().proxy, listening=None))))

    def test_drained(self) -> None:
        """One that is drained while others serve says so, whatever else is wrong; without others all of it counts."""
        others = cluster(a="healthy", b="dead")
        self.assertIn("sent to the others", summary(node(instances=(BROKEN,), cluster=others), drained=True))
        for nobody in (None, cluster(a="dead", b="unhealthy")):
            found = summary(node(cluster=nobody), Health.DEGRADED, drained=True)
            self.assertIn("drained, and no other node serves, so they still come here", found)
            found = summary(node(instances=(BROKEN,), cluster=nobody), drained=True)
            self.assertIn("no visitor can reach this node: no Tor serves (primary: tor cannot be started", found)
            self.assertIn("drained", found)
