"""
The twistd command.

Owns: the command line of ``twistd rustbalance`` and the one import of the global reactor. In: options; out: the
service tree, not yet started. Secrets are read again when it starts, since locked memory does not survive the fork
by which twistd becomes a daemon.
"""

import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from rustbalance.config import Config, ConfigError, load_config, wipe_secrets
from rustbalance.node import NodeService
from rustbalance.ops.logs import observer


class Options(usage.Options):
    """What follows ``twistd rustbalance``."""

    synopsis = "[--config FILE]"
    optParameters = [["config", "c", None, "The configuration file (config.toml)."]]

    def postOptions(self) -> None:
        """
        Check the configuration before anything starts.

        :raises twisted.python.usage.UsageError: with every complaint, one a line; or twistd is to change its user,
            which it would do only after the state directory, the secrets and the sockets have become root's.
        """
        twistd: Any = self.parent
        if twistd is not None and any(twistd.get(name) is not None for name in ("uid", "gid")):
            raise usage.UsageError("--uid and --gid of twistd do not work here; start twistd as that user instead")
        if self["config"] is None:
            raise usage.UsageError("which configuration? give --config FILE (rustbalance init makes one)")
        self["config"] = str(Path(self["config"]).absolute())
        try:
            self.checked = load_config(Path(self["config"]))
        except ConfigError as error:
            raise usage.UsageError(str(error)) from None
        wipe_secrets(self.checked)


def makeService(options: Options) -> IService:
    """Return the node, to be started by twistd."""
    from twisted.internet import reactor

    log = _observer(options.checked, getattr(options, "parent", None))
    return NodeService(Path(options["config"]), options.checked, reactor, log)


def _observer(config: Config, parent: Any) -> Any:
    """Return our log observer when twistd logs to a terminal or a journal; its own options win."""
    foreground = parent is not None and parent.get("nodaemon")
    if not foreground or parent.get("logfile") or parent.get("logger") or parent.get("syslog"):
        return None
    form = config.logging.format or ("text" if sys.stdout.isatty() else "json")
    return observer(sys.stdout, form, config.logging.level)
