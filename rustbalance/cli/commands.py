"""
``rustbalance`` and the list of its commands.

Owns: which commands there are, and how an error of any of them reaches the operator: one line on stderr that says what
to do, exit status 2. In: argv; out: an exit status.
"""

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from rustbalance import __version__

#: Each command and the object that it is.
COMMANDS = {
    "init": "rustbalance.cli.init:init",
    "bundle": "rustbalance.cli.bundle:bundle",
    "join": "rustbalance.cli.join:join",
    "run": "rustbalance.cli.run:run",
    "status": "rustbalance.cli.status:status",
    "verify": "rustbalance.cli.verify:verify",
    "drain": "rustbalance.cli.drain:drain",
    "undrain": "rustbalance.cli.drain:undrain",
    "forget": "rustbalance.cli.forget:forget",
    "place-key": "rustbalance.cli.place_key:place_key",
    "check-config": "rustbalance.cli.check_config:check_config",
    "show-onion": "rustbalance.cli.show_onion:show_onion",
    "lab": "rustbalance.cli.lab:lab",
}

BAD_INPUT = 2
INTERRUPTED = 130

EPILOG = """\b
Example:
  rustbalance init --dir ~/node --target 127.0.0.1:8000
  rustbalance run --config ~/node/config.toml

\b
Shell completion (bash; zsh and fish likewise):
  eval "$(_RUSTBALANCE_COMPLETE=bash_source rustbalance)"
"""


class OneLineErrors(click.Group):
    """A group that imports a command when it is needed and tells an error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of a newcomer's needs."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run a command and exit with its status."""
        sys.exit(self._status(*args, **{**kwargs, "standalone_mode": False}))

    def _status(self, *args: Any, **kwargs: Any) -> int:
        try:
            status = super().main(*args, **kwargs)
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            return 0
        except click.ClickException as error:
            click.echo(_told(error), err=True)
            return BAD_INPUT
        except click.Abort:
            return INTERRUPTED
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at exit
            return 1
        except OSError as error:
            click.echo(f"rustbalance: {error.filename or 'the system'}: {error.strerror or error}", err=True)
            return BAD_INPUT
        return status if isinstance(status, int) else 0


def _told(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f" (see: {context.command_path} --help)" if context is not None else ""
    return f"rustbalance: {error.format_message().rstrip()}{hint}"


@click.group(
    cls=OneLineErrors,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=False,
)
@click.version_option(__version__, prog_name="rustbalance")
def group() -> None:
    """Serve one Tor v3 onion address from several machines."""


def main() -> NoReturn:
    """Run the command that argv names (entry point of the package)."""
    group.main(prog_name="rustbalance")
