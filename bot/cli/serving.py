"""`serve` and `migrate`: run the bot, and prepare its database."""

import asyncio
from typing import Annotated

import typer

from bot.config import DatabaseSettings, Settings, load
from bot.ops import log

MigrateOption = Annotated[bool, typer.Option("--migrate", help="Create or upgrade the database schema first.")]


def serve(*, migrate: MigrateOption = False) -> None:
    """Run the bot until it receives SIGTERM or SIGINT (Ctrl-C).

    It uses Socket Mode if SLACK_APP_TOKEN is set, HTTP if SLACK_SIGNING_SECRET is. All settings come from the
    environment or from the file .env in the current folder.
    """
    settings = load(Settings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    if migrate:
        _migrate(settings)
    import uvloop  # noqa: PLC0415 - only here: it takes a tenth of the start of every other command

    from bot.app import wiring  # noqa: PLC0415 - the same

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(wiring.serve(settings))


def migrate_database() -> None:
    """Create or upgrade the database schema."""
    settings = load(DatabaseSettings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    _migrate(settings)


def _migrate(settings: DatabaseSettings) -> None:
    from bot.store.migrations import migrate  # noqa: PLC0415 - serving needs no Alembic

    before, after = migrate(settings.database_url)
    if before == after:
        typer.echo(f"The schema is up to date ({after}).", err=True)
    else:
        typer.echo(f"The schema went from {before or 'nothing'} to {after}.", err=True)
