"""The operator's commands: ``rustbalance …``. Each is imported when it is called, so that all start fast."""

from rustbalance.cli.commands import main

__all__ = ["main"]
