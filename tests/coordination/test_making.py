"""Tests for L{rustbalance.coordination.making}."""

import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.keys import InvalidToken, TokenKeys
from rustbalance.coordination.carriers import Direct, OverTor
from rustbalance.coordination.making import Mesh, Tokens, coordination, key_ring
from rustbalance.secrets import Secret
from tests.publishing.memory import Node

OLD, NEW = b"the token before, of long ago", b"the token of today, still young"


def tokens(*, previous: bytes | None = OLD) -> Tokens:
    """Return a token with one before it."""
    return Tokens(Secret.copy_of(NEW), None if previous is None else Secret.copy_of(previous), 1000.0)


class KeyRingTests(SynchronousTestCase):
    """L{key_ring} gives what to seal with and what to open."""

    def test_both_tokens(self) -> None:
        """The token before is heard until its time is over, and never sealed with."""
        ring = key_ring(tokens())
        old, new = (TokenKeys(Secret.copy_of(text)) for text in (OLD, NEW))
        self.assertEqual(ring.current.key_id, new.key_id)
        self.assertIsNotNone(ring.find(old.key_id, 999.0))
        self.assertIsNone(ring.find(old.key_id, 1000.0))

    def test_one_token(self) -> None:
        """Without one before there is nothing else to hear."""
        ring = key_ring(tokens(previous=None))
        self.assertEqual(list(ring.accepted), [])

    def test_short_token(self) -> None:
        """A token that can be guessed is refused."""
        self.assertRaises(InvalidToken, key_ring, Tokens(Secret.copy_of(b"short")))


class CoordinationTests(SynchronousTestCase):
    """L{coordination} puts the parts together."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(shutil.rmtree, self.node.directory)

    def make(self, mesh: Mesh | None) -> bool:
        """Return whether it can speak."""
        node = self.node
        service = coordination(
            node.settings, node.node_key, node.publisher, mesh, node.clock, os.urandom, node.now, node.instance
        )
        return service._conversation is not None

    def test_alone(self) -> None:
        """Without a mesh there is nobody to speak with."""
        self.assertFalse(self.make(None))

    def test_with_others(self) -> None:
        """With one there is."""
        self.assertTrue(self.make(Mesh(tokens(), Direct("127.0.0.1:0"))))
        self.assertTrue(self.make(Mesh(tokens(), OverTor(self.node.directory / "mesh"))))
