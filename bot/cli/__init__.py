"""The command line: `turso-rotate`, or `python -m bot`."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from bot import __version__
from bot.cli import allow, audit, doctor, resolve, sandbox, serving, stats
from bot.domain.errors import BotError, SettingsError, UsageError

app = typer.Typer(
    name="turso-rotate",
    help="Rotate the tokens of a Turso group from Slack, with a record an auditor can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve")(serving.serve)
app.command("migrate")(serving.migrate)
app.command("doctor")(doctor.doctor)
app.command("sandbox")(sandbox.sandbox)
app.add_typer(allow.app, name="allow")
audit.app.command("resolve")(resolve.resolve)
audit.app.command("stats")(stats.stats)
app.add_typer(audit.app, name="audit")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"turso-rotate {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None: ...


def main() -> None:
    """Run a command. Exits 0 when done, 1 when the answer is no or it failed, 2 on wrong usage or settings."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what cannot be shown is no reason to show nothing
    try:
        app()
    except (SettingsError, UsageError) as error:
        _exit(error, 2)
    except BotError as error:
        _exit(error, 1)


def _exit(error: BotError, code: int) -> None:
    typer.echo(f"turso-rotate: {error}", err=True)
    sys.exit(code)
