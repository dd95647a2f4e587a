"""The command line: `turso-rotate`, or `python -m bot`."""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from bot import __version__
from bot.cli import allow, audit, doctor, export, resolve, sandbox, serving, stats, verification
from bot.cli.options import examples
from bot.domain.errors import BotError, SettingsError, UsageError

app = typer.Typer(
    name="turso-rotate",
    help="Rotate a Turso group's tokens from Slack, with a verifiable audit trail.",
    epilog=examples("turso-rotate serve --migrate", "turso-rotate allow add U024BE7LH --group payments"),
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("serve", epilog=examples("turso-rotate serve --migrate"))(serving.serve)
app.command("migrate", epilog=examples("DATABASE_URL=sqlite:///bot.db turso-rotate migrate"))(serving.migrate_database)
app.command("doctor", epilog=examples("turso-rotate doctor", "turso-rotate doctor --replicas 3 --format json"))(
    doctor.run_doctor
)
app.command("sandbox", epilog=examples("turso-rotate sandbox", "turso-rotate sandbox --script"))(sandbox.run_sandbox)

_allow = typer.Typer(help="Manage who may rotate groups, and who may read everything.", no_args_is_help=True)
_allow.command(
    "add",
    epilog=examples(
        "turso-rotate allow add U024BE7LH --group 'prod-*' --until 2027-01-31",
        "turso-rotate allow add U024BE7LH --role audit --note 'external auditor'",
    ),
)(allow.add_grant)
_allow.command(
    "remove",
    epilog=examples("turso-rotate allow remove U024BE7LH", "turso-rotate allow remove U024BE7LH --group 'prod-*'"),
)(allow.remove_grants)
_allow.command("list", epilog=examples("turso-rotate allow list --all --format csv"))(allow.list_grants)
_allow.command(
    "who",
    epilog=examples("turso-rotate allow who payments", "turso-rotate allow who payments --at 2026-10-01"),
)(allow.list_holders)
app.add_typer(_allow, name="allow")

_audit = typer.Typer(help="Read, verify and export the audit trail.", no_args_is_help=True)
_audit.command(
    "list",
    epilog=examples(
        "turso-rotate audit list --group payments --period 7d",
        "turso-rotate audit list --action rotation.denied --format json",
    ),
)(audit.list_events)
_audit.command("show", epilog=examples("turso-rotate audit show --group payments --outcome failed --since 30m"))(
    audit.show_rotations
)
_audit.command(
    "export", epilog=examples("turso-rotate audit export --period 2026-10-01..2026-10-31 --output oct.jsonl")
)(export.export_trail)
_audit.command(
    "verify",
    epilog=examples("turso-rotate audit verify", "turso-rotate audit verify --file oct.jsonl --format json"),
)(verification.verify_trail)
_audit.command(
    "resolve",
    epilog=examples("turso-rotate audit resolve 0m8x5kq2f7r1a --as failed --note 'seen at Turso'"),
)(resolve.resolve_rotation)
_audit.command("stats", epilog=examples("turso-rotate audit stats --period 2026-01-01.. --by month"))(stats.show_stats)
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
    except BotError as error:
        _exit(error, 1)


def _exit(error: BotError, code: int) -> None:
    typer.echo(f"turso-rotate: {error}", err=True)
    sys.exit(code)
