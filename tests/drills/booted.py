"""
A machine with the programs of this one and a systemd of its own: C{systemd-nspawn} over an overlay of C{/}.

It shares our network, so that the private Tor network on loopback is reachable, and can change nothing of it. Overlay
and writes are mounts of one process: nothing is left of them when it ends, however it does.
"""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor  # noqa: TID251  (real processes)

from rustbalance.lab.child import Child, spawn
from rustbalance.life import pause, within
from tests.live.namespaces import Broken, run

reactor: Any = global_reactor
ROOT = Path(__file__).parent.parent.parent
BOOT, END = 60.0, 30.0
TARGET = "[Unit]\nDescription=Nothing but what is asked for\nRequires=basic.target\nAfter=basic.target\n"
BOOTING = """\
set -e
mount -t tmpfs tmpfs {place}
mkdir {place}/upper {place}/work {place}/root
mount -t overlay overlay -o lowerdir=/,upperdir={place}/upper,workdir={place}/work {place}/root
cp -rT {files} {place}/root
ln -sf drill.target {place}/root/etc/systemd/system/default.target
chmod o+x {ways}
exec systemd-nspawn -q -D {place}/root -b -M {name} --register=no --keep-unit --console=read-only \
--resolv-conf=off --timezone=off --link-journal=no --system-call-filter=@memlock
"""
#: nspawn's own way of saying which hierarchy of control groups is to be used inside; the older ones lack a delegation.
ENVIRONMENT = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
INSIDE = ("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1")


class Booted:
    """The machine; C{files} are its own, by their paths."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rb-booted-", dir="/tmp"))
        self._files = {"/etc/fstab": "", "/etc/systemd/system/drill.target": TARGET, **files}
        self._child: Child | None = None
        self._leader = 0

    @property
    def root(self) -> Path:
        """Where its files are to be found from outside."""
        return Path(f"/proc/{self._leader}/root")

    async def start(self) -> None:
        """
        Boot it and wait until it takes commands.

        :raises Broken: it cannot see us.
        """
        if ROOT.is_relative_to("/tmp"):
            raise Broken(f"a machine that is booted has a /tmp of its own: move {ROOT} elsewhere")
        place, files = self._folder / "place", self._folder / "files"
        place.mkdir()
        for name, text in self._files.items():
            path = files / name.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        script = BOOTING.format(
            place=place, files=files, ways=_ways(place / "root"), name=self._folder.name.replace("_", "0")
        )
        command = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
        self._child = spawn(reactor, "machine", command, self._folder, ENVIRONMENT)
        await within(BOOT, reactor, self._booted())

    async def stop(self) -> None:
        """Shut it down, or else off."""
        if self._child is not None:
            await self._child.stop(END)
        shutil.rmtree(self._folder, ignore_errors=True)

    async def run(self, *words: str) -> str:
        """
        Run something as root inside and return what it says.

        :raises Broken: it failed.
        """
        return await run("nsenter", "-t", str(self._leader), "-a", *INSIDE, *words)

    async def _booted(self) -> None:
        while True:
            self._look()
            try:
                if self._leader and (await self.run("systemctl", "is-active", "drill.target")).strip() == "active":
                    return
            except Broken:
                pass
            await pause(reactor, 0.1)

    def _look(self) -> None:
        """Find its first process: the child of the one that we have started."""
        assert self._child is not None
        self._child.raise_if_ended()
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text().split()
        self._leader = int(children[-1]) if children else 0


def _ways(root: Path) -> str:
    """Return the directories on the way to Python and to us, which other users have to pass inside."""
    ends = (Path(sys.base_prefix), Path(sys.executable).parent, ROOT)
    ways = {root / way.relative_to("/") for end in ends for way in (end, *end.parents)}
    return " ".join(shlex.quote(os.fspath(way)) for way in sorted(ways))
