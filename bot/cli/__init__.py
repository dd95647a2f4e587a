"""The command line: `turso-rotate`, or `python -m bot`."""

import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated

import typer

from bot import __version__
from bot.cli import (
    allow,
    audit,
    doctor,
    export,
    holders,
    note,
    rekey,
    resolve,
    rotate,
    sandbox,
    serving,
    stats,
    verification,
)
from bot.cli.options import examples
from bot.cli.typos import hint
from bot.domain.errors import BotError, DatabaseError, NoSuchGroup, SettingsError, UsageError

app = typer.Typer(
    name="turso-rotate",
    help="Rotate a Turso group's tokens from Slack, with a verifiable audit trail.",
    epilog=examples("serve --migrate", "allow add U024BE7LH --group payments"),
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_allow = typer.Typer(help="Manage who may rotate groups, and who may read everything.", no_args_is_help=True)
_audit = typer.Typer(help="Read, verify and export the audit trail.", no_args_is_help=True)
_ADD = "allow add U024BE7LH --group 'prod-*' --until 2027-01-31"
_ADD_AUDITOR = "allow add U024BE7LH --role audit --note 'external auditor'"
_COMMANDS: tuple[tuple[typer.Typer, str, Callable[..., None], tuple[str, ...]], ...] = (
    (app, "serve", serving.serve, ("serve --migrate",)),
    (app, "migrate", serving.migrate_database, ("migrate",)),
    (app, "rotate", rotate.rotate_group, ("rotate payments --reason 'key leaked, Slack is down'",)),
    (app, "doctor", doctor.run_doctor, ("doctor", "doctor --replicas 3 --format json")),
    (app, "sandbox", sandbox.run_sandbox, ("sandbox", "sandbox --script")),
    (_allow, "add", allow.add_grant, (_ADD, _ADD_AUDITOR)),
    (_allow, "remove", allow.remove_grants, ("allow remove U024BE7LH", "allow remove U024BE7LH --group 'prod-*'")),
    (_allow, "list", holders.list_grants, ("allow list --all --format csv",)),
    (_allow, "who", holders.list_holders, ("allow who payments", "allow who payments --at 2026-10-01")),
    (_audit, "list", audit.list_events, ("audit list --group payments --period 7d", "audit list --action failed")),
    (_audit, "show", audit.show_rotations, ("audit show 0m8x5kq2f7r1a", "audit show --outcome failed --since 30m")),
    (_audit, "export", export.export_trail, ("audit export --period 2026-10-01..2026-10-31 --output oct.jsonl",)),
    (_audit, "verify", verification.verify_trail, ("audit verify", "audit verify --file oct.jsonl --format json")),
    (_audit, "resolve", resolve.resolve_rotation, ("audit resolve 0m8x5kq2f7r1a --as failed --note 'seen at Turso'",)),
    (_audit, "note", note.note_rotation, ("audit note payments --at 5m --note 'by hand, the bot was down'",)),
    (_audit, "rekey", rekey.rekey_trail, ("audit rekey",)),
    (_audit, "stats", stats.show_stats, ("audit stats --period 2026-01-01.. --by month",)),
)
for _parent, _name, _command, _lines in _COMMANDS:
    _parent.command(_name, epilog=examples(*_lines))(_command)
app.add_typer(_allow, name="allow")
app.add_typer(_audit, name="audit")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"turso-rotate {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run a command. Exit with 0 if it is done, 1 if the answer is no or it failed, 2 for wrong usage or settings."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # escape what the terminal cannot show
    try:
        app()
    except (SettingsError, UsageError) as error:
        _exit(error, 2)
    except NoSuchGroup as error:
        _exit(error, 1, hint(error))
    except DatabaseError as error:
        _exit(error, 1, f" The driver says: {error.cause}" if error.cause else "")
    except BotError as error:
        _exit(error, 1)


def _exit(error: BotError, code: int, more: str = "") -> None:
    typer.echo(f"turso-rotate: {error}{more}", err=True)
    sys.exit(code)
