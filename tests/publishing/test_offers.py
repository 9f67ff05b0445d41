"""Tests for L{rustbalance.publishing.offers}."""

import os

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.descriptor import encode
from rustbalance.onion.keys import DescriptorSigningKey, MasterKey, subcredential
from rustbalance.onion.netdoc import MalformedDescriptor
from rustbalance.onion.periods import TimePeriod
from rustbalance.publishing.offers import ForeignDescriptor, Offers, expiry, outline, read_own
from rustbalance.secrets import Secret
from tests.publishing.samples import HOURS, START, inner

NOW = int(START.wall)


class OffersTests(SynchronousTestCase):
    """L{Offers} keeps what every source last offered."""

    def setUp(self) -> None:
        self.offers = Offers()

    def test_nothing_at_first(self) -> None:
        """Without offers there is nothing to publish."""
        self.assertFalse(self.offers.outline())

    def test_last_offer_counts(self) -> None:
        """A source's new offer replaces its old one and no other."""
        self.offers.put("primary", inner(1, 2, 3))
        self.offers.put("standby", inner(7))
        self.offers.put("primary", inner(4))
        points = self.offers.merged(20, os.urandom).inner.points
        self.assertEqual({point.auth_key[0] for point in points}, {4, 7})

    def test_withdrawn(self) -> None:
        """A source that is gone leaves nothing behind, and may leave twice."""
        self.offers.put("primary", inner(1))
        self.offers.withdraw("primary")
        self.offers.withdraw("primary")
        self.assertFalse(self.offers.outline())

    def test_all_replaced(self) -> None:
        """A new set of offers leaves nothing of the old one."""
        self.offers.put("a", inner(1))
        self.offers.replace({"b": inner(2), "c": inner(3)})
        self.assertEqual([name in self.offers for name in "abc"], [False, True, True])
        self.assertEqual(self.offers.outline(), outline([inner(3), inner(2), inner()]))

    def test_outline_is_blind_to_order_and_certificates(self) -> None:
        """The same points in another order are no change; another key or flag is."""
        outlines = []
        for layer in (inner(1, 2), inner(2, 1), inner(1, 3), inner(1, 2, flow_control="1-2 31")):
            self.offers.put("primary", layer)
            outlines.append(self.offers.outline())
        self.assertEqual(outlines[0], outlines[1])
        self.assertEqual(len(set(outlines)), 3)
        self.assertEqual(len(outlines[0]), 2)

    def test_a_source_without_points_has_no_say(self) -> None:
        """An offer without points changes nothing in the outline."""
        self.offers.put("primary", inner(1))
        before = self.offers.outline()
        self.offers.put("standby", inner(single_onion_service=True))
        self.assertEqual(self.offers.outline(), before)

    def test_first_expiry(self) -> None:
        """The first certificate to expire decides, in seconds."""
        self.assertEqual(expiry(inner(1, 2)), (HOURS + 54) * 3600)


class ReadOwnTests(SynchronousTestCase):
    """L{read_own} opens the descriptor that Tor keeps for itself."""

    def setUp(self) -> None:
        self.master = MasterKey.from_seed(Secret.copy_of(b"s" * 32))
        self.periods = [TimePeriod(number, 1440) for number in (99, 100, 101, 102)]

    def text(self, period: TimePeriod) -> bytes:
        """Return what Tor would give for ``period``."""
        blinded = self.master.blind(period)
        return encode(
            inner(1, 2, 3),
            blinded,
            subcredential(self.master.public, blinded.public),
            revision=1,
            now=NOW,
            signing_key=DescriptorSigningKey(Secret.copy_of(b"d" * 32)),
            random_bytes=os.urandom,
        )

    def test_whatever_period_tor_is_in(self) -> None:
        """Tor's current descriptor is found to be of any of the periods around now."""
        for period in self.periods:
            points = read_own(self.text(period), self.master.public, self.periods, NOW).points
            self.assertEqual({point.auth_key[0] for point in points}, {1, 2, 3})

    def test_another_period(self) -> None:
        """A descriptor of a period that is long over is not ours to publish from."""
        self.assertRaises(
            ForeignDescriptor, read_own, self.text(TimePeriod(7, 1440)), self.master.public, self.periods, NOW
        )

    def test_another_service(self) -> None:
        """A descriptor of another service is refused before it is decrypted."""
        other = MasterKey.from_seed(Secret.copy_of(b"o" * 32))
        self.assertRaises(ForeignDescriptor, read_own, self.text(self.periods[0]), other.public, self.periods, NOW)

    def test_nonsense(self) -> None:
        """What is no descriptor is named so."""
        self.assertRaises(MalformedDescriptor, read_own, b"hello\n", self.master.public, self.periods, NOW)
