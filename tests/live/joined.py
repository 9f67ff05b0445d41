"""
Clusters as people make them: C{init}, C{bundle} and C{join}, whatever carries their messages.

Owns: the nodes, made by these commands. In: the shared network; out: C{members}, and how long it took until the first
visitor was served by one that has joined.
"""

import tomllib
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor as global_reactor

from rustbalance.lab.bundles import write_passphrase
from rustbalance.life import pause
from rustbalance.onion.address import OnionAddress
from tests.live.cluster import Member
from tests.live.commands import rustbalance
from tests.live.machines import MachinesTestCase

reactor: Any = global_reactor
#: Seconds from the start of a node that joins to the first visitor that it serves.
FIRST_VISITOR = 60.0
#: Introduction points of a node as C{init} and C{join} make it, with two Tors that serve, and of all three nodes.
OF_ONE, EVERYBODY = 6, 18


class JoinedTestCase(MachinesTestCase):
    """A test whose cluster begins with C{first} and grows by C{another}; C{given} are more words for both commands."""

    async def first(self, carrier: str, words: Sequence[str] = (), *given: str) -> Member:
        """Make the first node and start it; return it when its points are published."""
        place, include = self.directory / "first", self.network.include_path
        target = f"unix:{self.directory / 'site.sock'}"
        said = await rustbalance(
            *("init", "--dir", place, "--target", target, "--carrier", carrier, "--lab-include", include, *given)
        )
        self.address = OnionAddress.parse(said.split()[1])
        self.issuer, self.phrase = place, write_passphrase(self.directory)
        member = self._made("first", words)
        member.start()
        await self.until("it is published", lambda found: all(one.published for one in found.values()) and found != {})
        return member

    async def another(self, name: str, words: Sequence[str] = (), *given: str) -> Member:
        """Make a node that joins; it is not started."""
        bundle, place = self.directory / f"{name}.bundle", self.directory / name
        phrase = ("--passphrase-file", self.phrase)
        await rustbalance("bundle", "--dir", self.issuer, "--out", bundle, *phrase)
        include = ("--lab-include", self.network.include_path)
        await rustbalance("join", bundle, "--dir", place, "--id", name, *include, *phrase, *given)
        return self._made(name, words)

    def _made(self, directory: str, words: Sequence[str]) -> Member:
        config = tomllib.loads((self.directory / directory / "config.toml").read_text())
        member = Member(config["node"]["id"], self.directory / directory, words)
        self.members[member.name] = member
        return member

    async def first_visitor(self, member: Member) -> float:
        """Start a node, visit until it has served somebody, and return how long that took; no visit may fail."""
        began = reactor.seconds()
        member.start()
        while reactor.seconds() < began + FIRST_VISITOR:
            fresh = self.visitors.client.may_forget
            visit = await self.visitors.fetch(self.address.text, fresh_descriptor=fresh)
            self.assertTrue(visit.ok, visit)
            status = await member.status()
            if status is not None and status.proxy.requests_total:
                return float(reactor.seconds() - began)
            await pause(reactor, 0.2)
        raise AssertionError(f"no visitor within {FIRST_VISITOR:g} s\n{self.last_words()}")
