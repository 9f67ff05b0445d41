"""Blocks of ports."""

import random
import socket

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.ports import BLOCK, LAST, NoPortsLeft, PortBlock, bound


class PortBlockTests(SynchronousTestCase):
    """Two labs at once get different ports, and every port is free."""

    def reserve(self, seed: int) -> PortBlock:
        block = PortBlock.reserve(random.Random(seed))
        self.addCleanup(block.release)
        return block

    def test_two_blocks_differ(self) -> None:
        """Even two labs that draw the same numbers do not share a block."""
        self.assertNotEqual(self.reserve(1).first, self.reserve(1).first)

    def test_released_block_is_free_again(self) -> None:
        """A block that was given back can be reserved by the next lab."""
        block = PortBlock.reserve(random.Random(2))
        block.release()
        self.assertEqual(self.reserve(2).first, block.first)

    def test_ports_are_free_and_below_the_kernels_range(self) -> None:
        """Each port can be bound, none twice, none where the kernel takes ports for outgoing connections."""
        block = self.reserve(3)
        ports = [block.take() for _ in range(20)]
        self.assertEqual(len(set(ports)), 20)
        self.assertTrue(all(block.first < port < block.first + BLOCK and port < LAST for port in ports))

    def test_a_port_in_use_is_passed_over(self) -> None:
        """A port on which somebody listens is not handed out."""
        block = self.reserve(4)
        with socket.create_server(("127.0.0.1", block.first + 1)):
            self.assertEqual(block.take(), block.first + 2)

    def test_used_up(self) -> None:
        """A block says so when it has no port left."""
        block = self.reserve(5)
        with self.assertRaises(NoPortsLeft):
            for _ in range(BLOCK):
                block.take()

    def test_bound(self) -> None:
        """A bound port cannot be bound again."""
        first = bound(self.reserve(6).take())
        assert first is not None
        self.addCleanup(first.close)
        self.assertIsNone(bound(first.getsockname()[1]))
