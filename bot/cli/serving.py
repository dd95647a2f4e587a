"""`serve` and `migrate`."""

import asyncio
from typing import Annotated

import typer

from bot.config import DatabaseSettings, Settings, load
from bot.ops import log


def serve(
    *,
    migrate: Annotated[bool, typer.Option("--migrate", help="Bring the database's schema up to date first.")] = False,
) -> None:
    """Serve Slack until SIGTERM.

    Socket Mode with SLACK_APP_TOKEN, HTTP with SLACK_SIGNING_SECRET; all settings come from the environment
    or from a file .env in this folder.
    """
    settings = load(Settings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    if migrate:
        _migrate(settings)
    import uvloop  # noqa: PLC0415 - only here, as it takes a tenth of the start of every other command

    from bot.app import wiring  # noqa: PLC0415 - the same

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(wiring.serve(settings))


def migrate() -> None:
    """Create the tables, or bring them up to date."""
    settings = load(DatabaseSettings)
    log.configure(settings.log_level, settings.log_format, settings.secrets())
    _migrate(settings)


def _migrate(settings: DatabaseSettings) -> None:
    from bot.store.migrations import migrate as run  # noqa: PLC0415 - Alembic is not needed to serve

    before, after = run(settings.database_url)
    if before == after:
        typer.echo(f"The schema is up to date ({after}).", err=True)
    else:
        typer.echo(f"The schema went from {before or 'nothing'} to {after}.", err=True)
