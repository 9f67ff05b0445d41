"""The page and the visits, put together around Tors."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.coordination.making import Tokens
from rustbalance.health.canary import CanarySettings, Way
from rustbalance.health.canary_visit import Route
from rustbalance.health.lookup import NoDescriptor
from rustbalance.health.making import Lookout, LookoutSettings, Tors
from rustbalance.health.proof import credentials, token_key
from rustbalance.health.repair import Failure
from rustbalance.life import deferred
from rustbalance.moment import Moment
from rustbalance.ops.directories import DirectoryReport
from rustbalance.ops.status import InstanceStatus
from rustbalance.proxy.pages import PAGES, LocalAnswer, answer_reserved
from rustbalance.proxy.request import parse_request
from rustbalance.proxy.socks import SocksAddress
from rustbalance.secrets import Secret
from rustbalance.tor.failures import ControlLost
from tests.ops.statuses import instance, node
from tests.publishing.looking import MASTER, Looking, planned
from tests.publishing.samples import A, B

TOKEN = Secret.copy_of(b"a token of the cluster, unguessable")
CIRCUIT = "5 BUILT $A~a PURPOSE=HS_SERVICE_INTRO HS_STATE=HSSI_ESTABLISHED\n"


class Control:
    """Tor's control port."""

    def __init__(self, circuits: str | None = "") -> None:
        self.circuits = circuits
        self.signals: list[str] = []

    def signal(self, name: str) -> Deferred[None]:
        """Take a signal."""
        self.signals.append(name)
        return succeed(None)

    async def get_info(self, key: str) -> str:
        """Answer."""
        assert key == "circuit-status"
        if self.circuits is None:
            raise ControlLost("gone")
        return self.circuits


class Tor:
    """A Tor."""

    def __init__(self, name: str, control: Control | None, phase: str = "serving", socks: Any = ("::1", 9)) -> None:
        self.name = name
        self.control = control
        self.socks = socks
        self.serves_visitors = name != "scout"
        self._phase = phase

    def status(self) -> InstanceStatus:
        """Say how it is."""
        return instance(self.name, self._phase)


class LookoutTests(SynchronousTestCase):
    """Keys, and the way out."""

    def lookout(
        self,
        *tors: Any,
        tokens: Tokens | None = None,
        token: bytes | None = None,
        host: str = "x.onion",
        directories: tuple[tuple[str, ...], tuple[str, ...]] = ((), ()),
    ) -> Lookout:
        """Put it together; the first Tor is the one outside."""
        visits = CanarySettings(Route(host, "/health"))
        settings = LookoutSettings(visits, None if token is None else Secret.copy_of(token))
        around = Tors(lambda: tors[0] if tors else None, lambda: tors, lambda: directories)
        return Lookout(
            settings, tokens, around, node, self.look, self.note, self.note, Clock(), bytes, lambda: Moment(0.0, 100.0)
        )

    async def look(self) -> DirectoryReport:
        """Nobody asks."""
        raise self.failureException("the directories are asked")

    def note(self, failure: Failure, subject: str) -> None:
        """Nothing fails here."""
        self.fail(f"{failure} {subject}")

    def answer(self, lookout: Lookout, key: Secret) -> LocalAnswer:
        """Visit as a node with this key does."""
        authorization = credentials(key, bytes(16))
        request = parse_request(b"GET /health HTTP/1.1\r\nHost: m\r\nAuthorization: %b\r\n\r\n" % authorization)
        found = lookout.intercept("standby", answer_reserved)(request)
        assert isinstance(found, LocalAnswer)
        return found

    def test_same_keys(self) -> None:
        """The page knows the visits of the same node, whatever the keys come from."""
        for tokens in (Tokens(TOKEN), None):
            for token in (b"a token of the operator", None):
                lookout = self.lookout(tokens=tokens, token=token)
                found = self.answer(lookout, lookout._keys()[0])
                self.assertIn(b'"node_id":"alpha","instance":"standby"', found.body)

    def test_keys_of_others(self) -> None:
        """Nodes with the same token know each other; strangers and a former token whose time is over are not known."""
        former = Secret.copy_of(b"the token before that one")
        one = self.lookout(tokens=Tokens(former), token=b"a token of the operator")
        for tokens, known in (
            (Tokens(former), True),
            (Tokens(TOKEN, former, 101.0), True),
            (Tokens(TOKEN, former, 100.0), False),
            (Tokens(TOKEN), False),
            (None, False),
        ):
            found = self.answer(self.lookout(tokens=tokens, token=b"a token of the operator"), one._keys()[0])
            self.assertEqual(found.status == 200, known, tokens)

    def test_canary_token_alone(self) -> None:
        """Without a cluster the canary's token makes the keys, else a random number."""
        token = b"a token of the operator"
        self.assertEqual(self.answer(self.lookout(token=token), token_key(Secret.copy_of(token))).status, 200)
        found = self.answer(self.lookout(), token_key(Secret.copy_of(token)))
        self.assertEqual(found.body, b'{"status":"ok"}')

    def test_other_requests(self) -> None:
        """What is not for the page goes on."""
        intercept = self.lookout().intercept("primary", lambda _: PAGES[413])
        self.assertIs(intercept(parse_request(b"GET / HTTP/1.1\r\nHost: m\r\n\r\n")), PAGES[413])

    def test_way(self) -> None:
        """The scout is made to forget, and no other Tor is; without directories nobody can have it looked up anew."""
        self.assertIsNone(self.lookout()._way())
        scout = Control()
        way = self.lookout(Tor("scout", scout, socks=Path("/s")))._way()
        assert way is not None
        assert way.renew is not None
        self.assertEqual((way.name, way.socks), ("scout", SocksAddress(path="/s")))
        way.renew()
        self.assertEqual(scout.signals, ["NEWNYM"])
        for tor in (Tor("standby", Control()), Tor("scout", None)):
            way = self.lookout(tor)._way()
            assert way is not None
            self.assertEqual((way.name, way.socks, way.renew), (tor.name, SocksAddress(host="::1", port=9), None))

    def test_look_up(self) -> None:
        """Any other Tor asks a directory for the descriptor before each visit, and forgets nothing."""
        looking = Looking(planned().first, (A, B), Clock())
        control: Any = looking.control
        lookout = self.lookout(Tor("standby", control), host=MASTER.address.text, directories=((A,), (B,)))
        for held, known in (({A: 7}, True), ({}, False)):
            looking.held = dict(held)
            way = lookout._way()
            assert way is not None
            assert way.renew is not None
            looked = deferred(self._renewed(way))
            asked: list[str] = []
            while new := looking.answer():
                asked += new
            if known:
                self.assertEqual((self.successResultOf(looked), asked), (None, [A]))
            else:
                self.failureResultOf(looked, NoDescriptor)
                self.assertEqual(asked, [A, B])

    async def _renewed(self, way: Way) -> None:
        assert way.renew is not None
        await way.renew()

    def test_standing(self) -> None:
        """Those Tors are asked for their circuits that serve visitors; one that does not answer says nothing."""
        tors = (
            Tor("scout", Control(CIRCUIT)),
            Tor("primary", Control(CIRCUIT * 2)),
            Tor("standby", Control("")),
            Tor("third", Control(None)),
            Tor("fourth", None),
            Tor("fifth", Control(CIRCUIT), "bootstrapping"),
        )
        found = self.successResultOf(deferred(self._standing(self.lookout(*tors))))
        self.assertEqual(found, {"primary": 2, "standby": 0})

    async def _standing(self, lookout: Lookout) -> Any:
        return await lookout._standing()
