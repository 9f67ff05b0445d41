"""Tests for L{rustbalance.tor.torrc}."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.tor.torrc import (
    HiddenService,
    Layout,
    SocketPathTooLong,
    foreign_directories,
    is_as_wanted,
    needs_a_fresh_start,
    render,
)

SERVICE = HiddenService(Path("/state/service"), "127.0.0.1:8080", 3)


class RenderTests(SynchronousTestCase):
    """L{render} writes what a managed Tor is told."""

    def test_serving_instance(self) -> None:
        """An instance of ours has no TCP port, ends with us, leaves publishing to us and balances its own address."""
        text = render(Layout(Path("/state")), SERVICE, Path("/etc/private network"), 42)
        self.assertEqual(
            text.splitlines(),
            [
                '%include "/etc/private network"',
                'DataDirectory "/state/data"',
                r'ControlPort "unix:\"/state/control.sock\""',
                r'SocksPort "unix:\"/state/socks.sock\" ExtendedErrors"',
                'CookieAuthentication "1"',
                '__OwningControllerProcess "42"',
                'RunAsDaemon "0"',
                'ClientOnly "1"',
                'DormantCanceledByStartup "1"',
                'Log "warn stdout"',
                'Log "notice file /state/tor.log"',
                'TruncateLogFile "1"',
                'PublishHidServDescriptors "0"',
                'HiddenServiceDir "/state/service"',
                'HiddenServicePort "80 127.0.0.1:8080"',
                'HiddenServiceNumIntroductionPoints "3"',
                'HiddenServiceOnionBalanceInstance "1"',
            ],
        )

    def test_plain_client(self) -> None:
        """Without a service nothing is said about services, nor about publishing."""
        text = render(Layout(Path("/state")), None, None, 42)
        self.assertNotIn("HiddenService", text)
        self.assertNotIn("Publish", text)
        self.assertNotIn("%include", text)

    def test_socket_path_length(self) -> None:
        """A socket path that the system cannot take is refused at once, in words."""
        error = self.assertRaises(SocketPathTooLong, Layout, Path("/" + "x" * 90))
        self.assertIn("at most 100 bytes; choose a shorter state_dir", str(error))
        Layout(Path("/" + "x" * 85))


class HiddenServiceTests(SynchronousTestCase):
    """The options of our service, and Tor's answers compared with them."""

    def test_unix_socket(self) -> None:
        """The front's socket is quoted inside the value."""
        service = HiddenService(Path("/s"), "unix:/run/a b.sock", 3)
        self.assertIn(("HiddenServicePort", '80 unix:"/run/a b.sock"'), service.options())

    def test_as_wanted(self) -> None:
        """Only exactly our options, with publishing off, are what we want."""
        self.assertTrue(is_as_wanted(SERVICE.options(), "0", SERVICE))
        self.assertFalse(is_as_wanted(SERVICE.options(), "1", SERVICE))
        self.assertFalse(is_as_wanted(SERVICE.options()[:-1], "0", SERVICE))
        self.assertFalse(is_as_wanted((*SERVICE.options(), ("HiddenServiceDir", "/x")), "0", SERVICE))

    def test_foreign_directories(self) -> None:
        """Services other than ours are named; a default (no value) is no service."""
        found = (*SERVICE.options(), ("HiddenServiceDir", "/var/lib/tor/shop"), ("HiddenServicePort", "80"))
        self.assertEqual(foreign_directories(found, SERVICE.directory), ("/var/lib/tor/shop",))
        self.assertEqual(foreign_directories((("HiddenServiceOptions", None),), SERVICE.directory), ())

    def test_fresh_start(self) -> None:
        """Our service without the OnionBalance option must go before it can come back with it."""
        self.assertTrue(needs_a_fresh_start(SERVICE.options()[:-1], SERVICE.directory))
        self.assertFalse(needs_a_fresh_start(SERVICE.options(), SERVICE.directory))
        self.assertFalse(needs_a_fresh_start((), SERVICE.directory))
