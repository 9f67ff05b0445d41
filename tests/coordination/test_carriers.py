"""Tests for L{rustbalance.coordination.carriers}: what is asked for is what is made. Nothing is started."""

import os
import shutil
import tempfile
from ipaddress import IPv4Network
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.coordination.carriers import Direct, NoScout, OverTor, Wireguard, make
from rustbalance.mesh.direct import DirectCarrier
from rustbalance.mesh.onion import OnionCarrier
from rustbalance.mesh.stream_carrier import UnusableAddress
from rustbalance.mesh.wg_config import WgAddress
from rustbalance.mesh.wireguard import WireguardCarrier
from rustbalance.secret_files import encode_base64
from rustbalance.secrets import Secret
from rustbalance.tor.managed import ManagedSettings, ManagedTor


class MakeTests(SynchronousTestCase):
    """L{make} knows three carriers."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)

    def test_direct(self) -> None:
        """It listens where it is told to, and an address that is no place of ours is refused."""
        carrier = make(Direct("127.0.0.1:0"), None, Clock(), os.urandom)
        self.assertIsInstance(carrier, DirectCarrier)
        self.assertRaises(UnusableAddress, make, Direct("example.com:1"), None, Clock(), os.urandom)

    def test_over_tor(self) -> None:
        """It goes through the Tor that serves nobody, and cannot do without."""
        scout = ManagedTor("scout", ManagedSettings(directory=self.directory / "scout"), None, Clock())
        choice = OverTor(self.directory / "mesh")
        self.assertIsInstance(make(choice, scout, Clock(), os.urandom), OnionCarrier)
        self.assertRaises(NoScout, make, choice, None, Clock(), os.urandom)

    def wireguard(self, tunnel_ip: str | None) -> WireguardCarrier:
        """Return one whose peer has 10.9.0.1."""
        seed = WgAddress(b"p" * 32, None, IPv4Network("10.9.0.0/29")[1])
        with Secret.copy_of(b"w" * 32) as key:
            choice = Wireguard(
                private_key=encode_base64(key),
                interface="wg-t",
                listen_port=51820,
                network=IPv4Network("10.9.0.0/29"),
                tunnel_ip=tunnel_ip,
                external_endpoint=None,
                userspace=None,
                seeds={"alpha": seed},
            )
        carrier = make(choice, None, Clock(), os.urandom)
        assert isinstance(carrier, WireguardCarrier)
        return carrier

    def test_wireguard(self) -> None:
        """It takes the address that it is given; without one it takes one that no peer has, always the same."""
        self.assertEqual(str(self.wireguard("10.9.0.4").tunnel_ip()), "10.9.0.4")
        own = {str(self.wireguard(None).tunnel_ip()) for _ in range(3)}
        self.assertEqual(len(own), 1)
        self.assertNotIn("10.9.0.1", own)
