"""The command line. Each command lives in a module of its own and is imported when it is used.

Results go to stdout; progress and "Wrote ..." go to stderr. Exit status: 0 done, 1 the level of
``--fail-on`` was reached, 2 wrong usage or nothing readable, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import NoReturn

import click

from loganalyze import __version__
from loganalyze.cli.terminal import forgive_encodings
from loganalyze.errors import LogAnalyzeError

# Name -> one-line help, so that `--help` imports no command.
COMMANDS = {
    "report": "Write a self-contained HTML postmortem of a run.",
    "diagnose": "Print what is wrong with a run, and why.",
    "diff": "Compare runs: what changed, where they part, what it did.",
    "inspect": "Show what was found and read, before any judgement.",
    "scan": "Rank all runs below some places by what is wrong with them.",
    "watch": "Follow a run while it is alive.",
    "export": "Write the unified metrics as Parquet, CSV or JSON lines.",
    "probe": "Find out on the live model what the log can only suggest.",
    "explain": "Tell what a finding or a cause means.",
}

INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"loganalyze.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(
                f"no command {args[0]!r}{hint} (commands: {', '.join(COMMANDS)})", ctx
            )
        return super().resolve_command(ctx, args)


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Print the version; processed after --verbose, which is eager."""
    if not wanted or ctx.resilient_parsing:
        return
    if ctx.params["verbose"]:
        from loganalyze.cli.version import versions

        click.echo("\n".join(versions()))
    else:
        click.echo(f"loganalyze {__version__}")
    ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: loganalyze report runs/my-run",
)
@click.option("-v", "--verbose", is_flag=True, is_eager=True,
              help="With --version: also of what it stands on.")  # fmt: skip
@click.option("--version", is_flag=True, expose_value=False, callback=_version,
              help="Show the version and exit.")  # fmt: skip
def group(verbose: bool) -> None:
    """Point it at a training run's directory, get a postmortem.

    What happened, why (ranked, with evidence for and against), what to change, and which short
    experiment would confirm it.
    """
    if verbose:
        raise click.UsageError("--verbose goes after the command, or with --version")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    forgive_encodings()
    try:
        code = group.main(args=list(arguments), prog_name="loganalyze", standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except click.ClickException as error:
        _complain(error.format_message(), arguments)
        code = LogAnalyzeError.exit_code
    except LogAnalyzeError as error:
        _complain(str(error), arguments)
        code = error.exit_code
    except BrokenPipeError:
        # The reader went away (`| head`): not an error of ours; keep the interpreter from
        # complaining about the same pipe when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if "--debug" in arguments:
            raise
        _complain(
            f"internal error, {type(error).__name__}: {error}. This is a bug in loganalyze; "
            "--debug shows where",
            arguments,
        )
        code = LogAnalyzeError.exit_code
    raise SystemExit(code if isinstance(code, int) else 0)


def _complain(message: str, arguments: Sequence[str]) -> None:
    from loganalyze.cli.language import of_complaints
    from loganalyze.lang.translation import translate

    click.echo(f"loganalyze: {translate(message, of_complaints(arguments))}", err=True)
