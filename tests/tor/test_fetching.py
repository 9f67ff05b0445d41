"""Tests for L{rustbalance.tor.fetching}, on a Tor in memory and in simulated time."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.life import deferred
from rustbalance.onion.address import OnionAddress
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import DescriptorFetched, DescriptorFetchFailed
from rustbalance.tor.fetching import NO_ANSWER, UNKNOWN, Answer, fetch_descriptor
from tests.tor.connected import Connection

ADDRESS = OnionAddress(bytes(range(32)))
OTHER = OnionAddress(bytes(range(1, 33)))
RELAY, ANOTHER = "A" * 40, "B" * 40
KEY = "Nb+eVpbPYVBRCW6i1jNFaiGkRXNbHfJTaTgYVtTBMtw"


class FetchDescriptorTests(SynchronousTestCase):
    """L{fetch_descriptor} asks one directory and waits for its answer."""

    def setUp(self) -> None:
        self.tor = FakeTor(relays={RELAY, ANOTHER})
        self.connection = Connection(self.tor)
        self.control: TorControl = self.successResultOf(self.connection.connecting)
        listening = deferred(self.control.listen())
        self.connection.flush()
        self.successResultOf(listening)

    def fetch(self, directory: str = RELAY) -> "Deferred[Answer]":
        """Ask, with ten seconds for the answer."""
        fetching = deferred(fetch_descriptor(self.control, ADDRESS, directory, self.connection.clock, 10.0))
        self.connection.flush()
        return fetching

    def say(self, text: str) -> None:
        """Let Tor tell of an event."""
        self.tor.emit(text)
        self.connection.flush()

    def content(self, text: str, relay: str = RELAY, address: OnionAddress = ADDRESS) -> None:
        """Let Tor tell of what a relay gave."""
        self.say(f"HS_DESC_CONTENT {address.label} {KEY} ${relay}~r\n{text}")

    def test_text(self) -> None:
        """What the directory gives is returned, with the blinded key that Tor asked for."""
        fetching = self.fetch()
        self.assertEqual(self.tor.fetches, [(ADDRESS.label, RELAY)])
        self.content("hs-descriptor 3\nrevision-counter 7\n")
        expected = DescriptorFetched(ADDRESS, RELAY, KEY, b"hs-descriptor 3\nrevision-counter 7\n")
        self.assertEqual(self.successResultOf(fetching), expected)

    def test_others(self) -> None:
        """What another directory gives, or what is said of another service, is no answer."""
        fetching = self.fetch()
        self.content("x", relay=ANOTHER)
        self.content("x", address=OTHER)
        self.say("STATUS_CLIENT NOTICE CONSENSUS_ARRIVED")
        self.assertNoResult(fetching)
        self.content("y")
        self.assertIsInstance(self.successResultOf(fetching), DescriptorFetched)

    def test_none(self) -> None:
        """Why there is nothing is returned, not the empty text that follows, and not that it looks like an upload's."""
        for reason in ("NOT_FOUND", "BAD_DESC", "UNEXPECTED"):
            fetching = self.fetch()
            self.say(f"HS_DESC FAILED {ADDRESS.label} NO_AUTH ${RELAY}~r {KEY} REASON={reason}")
            self.content("")
            self.assertEqual(self.successResultOf(fetching), DescriptorFetchFailed(ADDRESS, RELAY, KEY, reason))

    def test_asked_again_at_once(self) -> None:
        """The empty text that follows a failure is no answer to whoever asks again in between."""
        fetching = self.fetch()
        self.say(f"HS_DESC FAILED {ADDRESS.label} NO_AUTH ${RELAY}~r {KEY} REASON=NOT_FOUND")
        self.successResultOf(fetching)
        again = self.fetch()
        self.content("")
        self.assertNoResult(again)
        self.content("hs-descriptor 3\n")
        self.assertIsInstance(self.successResultOf(again), DescriptorFetched)

    def test_refused_upload(self) -> None:
        """An upload that the directory refuses meanwhile is no answer."""
        fetching = self.fetch()
        self.say(f"HS_DESC FAILED {ADDRESS.label} NO_AUTH ${RELAY}~r {KEY} REASON=UPLOAD_REJECTED")
        self.assertNoResult(fetching)

    def test_silence(self) -> None:
        """After the deadline it is a failure like others, and what comes later is not waited for."""
        fetching = self.fetch()
        self.connection.clock.advance(10.0)
        self.assertEqual(self.successResultOf(fetching), DescriptorFetchFailed(ADDRESS, RELAY, "", NO_ANSWER))
        self.content("late")

    def test_unknown(self) -> None:
        """A directory that this Tor does not know cannot be asked."""
        found = self.successResultOf(self.fetch("C" * 40))
        self.assertEqual(found, DescriptorFetchFailed(ADDRESS, "C" * 40, "", UNKNOWN))

    def test_lost(self) -> None:
        """Without a control connection the reason is that."""
        self.tor.drop()
        self.connection.flush()
        found = self.successResultOf(self.fetch())
        self.assertIsInstance(found, DescriptorFetchFailed)
        self.assertIn("connection", getattr(found, "reason", ""))
