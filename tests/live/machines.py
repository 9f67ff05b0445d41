"""
Whole nodes on machines of their own, which are network namespaces on one bridge.

Owns: the machines, and the ways from them to the private Tor network, which stay when a cable is pulled. In: the
shared network; out: machines to run nodes on.
"""

import re
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor

from rustbalance.life import deferred
from tests.live.cluster import ClusterTestCase
from tests.live.doors import Doors
from tests.live.namespaces import IDLE, Machine, Switch

reactor: Any = global_reactor
PORT = re.compile(r"^(?:OR|Dir)Port 127\.0\.0\.1:(\d+)$", re.MULTILINE)


class MachinesTestCase(ClusterTestCase):
    """A test with machines on C{self.switch}; nodes find the Tor network on the loopback of theirs."""

    async def machines(self, count: int) -> list[Machine]:
        """Make a bridge with so many machines."""
        self.switch = Switch(Path("/usr/sbin"))
        self.addCleanup(lambda: deferred(self.switch.stop()))
        await self.switch.start()
        return [await self.machine() for _ in range(count)]

    async def machine(self) -> Machine:
        """Make one more."""
        machine = await self.switch.machine({}, IDLE)
        await machine.process.until(lambda event: event == {})
        doors = Doors(reactor)
        self.addCleanup(lambda: deferred(doors.close()))
        await doors.open(machine, self._ports())
        return machine

    def _ports(self) -> list[int]:
        """Return where the relays of the network listen."""
        texts = (path.read_text() for path in Path(self.network.directory).glob("*/torrc"))
        return sorted({int(port) for text in texts for port in PORT.findall(text)})


def words(machine: Machine) -> tuple[str, ...]:
    """Return what leads the command of a node: it goes to the machine, and ends with the test's process."""
    return (*machine.words, "setpriv", "--pdeathsig", "TERM")
