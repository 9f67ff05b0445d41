"""Tests for L{rustbalance.mesh.endpoint_names}, with real threads."""

import threading

from twisted.internet import reactor  # noqa: TID251  (real threads)
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from rustbalance.life import within
from rustbalance.mesh.endpoint_names import AT_ONCE, FRESH_SECS, RETRY_SECS, EndpointNames, lookup
from rustbalance.mesh.wg_config import Endpoint
from tests.mesh.peers import until

NAME = Endpoint("node.example.org", 51820)


class EndpointNamesTests(TestCase):
    """Names that are looked up beside everything else."""

    timeout = 30

    def setUp(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.answers: list[str] = ["192.0.2.7"]
        self.changes = 0
        self.names = EndpointNames(self.changed, reactor, lambda: self.now, self.look)
        self.addCleanup(self.names.stop)

    def changed(self) -> None:
        """Count."""
        self.changes += 1

    def look(self, host: str, port: int) -> str:
        """Answer as arranged; without an answer, fail. Runs in a thread."""
        self.asked.append(host)
        if not self.answers:
            raise OSError("Name or service not known")
        return self.answers.pop(0)

    async def test_addresses_are_not_looked_up(self) -> None:
        """An IP address is what it is, and no endpoint is none."""
        for endpoint in (Endpoint("192.0.2.1", 1), Endpoint("2001:db8::1", 1), None):
            self.assertEqual(self.names.numeric(endpoint), endpoint)
        self.assertEqual(self.asked, [])

    async def test_known_later(self) -> None:
        """A name is unknown at first, and known when word of it comes; it is asked for once."""
        self.assertIsNone(self.names.numeric(NAME))
        self.assertIsNone(self.names.numeric(NAME))
        await until(lambda: self.changes == 1)
        self.assertEqual(self.names.numeric(NAME), Endpoint("192.0.2.7", 51820))
        self.assertEqual(self.asked, ["node.example.org"])

    async def test_moves(self) -> None:
        """It is looked up again after a while, and only a new answer is news."""
        self.answers = ["192.0.2.7", "192.0.2.7", "192.0.2.8"]
        self.names.numeric(NAME)
        await until(lambda: self.changes == 1)
        for count in (2, 3):
            self.now += FRESH_SECS
            self.assertEqual(self.names.numeric(NAME), Endpoint("192.0.2.7", 51820))
            await until(lambda count=count: len(self.asked) == count and not len(self.names._tasks))  # type: ignore[misc]
        self.assertEqual(self.changes, 2)
        self.assertEqual(self.names.numeric(NAME), Endpoint("192.0.2.8", 51820))

    async def test_unknown(self) -> None:
        """A name that is not known is asked for again, not at once; an answer that we had stays in use."""
        self.names.numeric(NAME)
        await until(lambda: self.changes == 1)
        self.now += FRESH_SECS
        self.names.numeric(NAME)
        await until(lambda: len(self.asked) == 2 and not len(self.names._tasks))
        self.now += RETRY_SECS - 1
        self.assertEqual(self.names.numeric(NAME), Endpoint("192.0.2.7", 51820))
        self.assertEqual(len(self.asked), 2)
        self.now += 1
        self.names.numeric(NAME)
        await until(lambda: len(self.asked) == 3 and not len(self.names._tasks))
        self.assertEqual(self.changes, 1)

    async def test_a_slow_one_keeps_nobody_waiting(self) -> None:
        """While one name takes its time, another is found; what is forgotten or given up is no news."""
        release = threading.Event()
        self.addCleanup(release.set)

        def look(host: str, port: int) -> str:
            if host == "slow.example.org":
                release.wait(20)
            return "192.0.2.9"

        names = EndpointNames(self.changed, reactor, lambda: self.now, look)
        self.assertIsNone(names.numeric(Endpoint("slow.example.org", 1)))
        self.assertIsNone(names.numeric(NAME))
        await until(lambda: self.changes == 1)
        self.assertIsNotNone(names.numeric(NAME))
        names.keep_only({NAME})
        self.assertIsNotNone(names.numeric(NAME))
        names.stop()

    async def test_threads_are_left_to_others(self) -> None:
        """
        While no name server answers, look-ups take a few threads and no more, however many names there are and however
        often they are asked for: the state of the cluster is written in a thread of the same pool.
        """
        release, running, most = threading.Event(), [0], [0]
        self.addCleanup(release.set)

        def look(host: str, port: int) -> str:
            running[0] += 1
            most[0] = max(most[0], running[0])
            release.wait(20)
            running[0] -= 1
            return "192.0.2.9"

        names = EndpointNames(self.changed, reactor, lambda: self.now, look)
        endpoints = [Endpoint(f"node{number}.example.org", 1) for number in range(30)]
        for _ in range(3):
            for endpoint in endpoints:
                self.assertIsNone(names.numeric(endpoint))
            self.now += FRESH_SECS
        await until(lambda: running[0] == AT_ONCE)
        await within(10, reactor, deferToThread(lambda: None))
        release.set()
        await until(lambda: self.changes == len(endpoints))
        self.assertEqual((most[0], len(names._tasks)), (AT_ONCE, 0))
        self.assertTrue(all(map(names.numeric, endpoints)))

    def test_stopped(self) -> None:
        """Who stops in the middle of a look-up has given it up, and nothing has gone wrong."""
        go_on = threading.Event()
        self.addCleanup(go_on.set)
        names = EndpointNames(self.changed, reactor, lambda: 0.0, lambda *_: str(go_on.wait(10)))
        with capturedLogs() as said:
            names.numeric(NAME)
            names.stop()
        self.assertEqual(list(said), [])

    def test_lookup(self) -> None:
        """The system's own look-up gives an address, or an error that is one of the system's."""
        self.assertIn(lookup("localhost", 1), ("127.0.0.1", "::1"))
        self.assertRaises(OSError, lookup, "no.such.name.invalid", 1)
