"""`audit note`: record a rotation that was made by hand, without the bot."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from bot import __version__
from bot.cli.database import load_settings, require_organization, with_database
from bot.cli.operator import operator
from bot.cli.options import GroupArgument, masked
from bot.cli.typos import recorded_groups
from bot.config import Settings, load
from bot.domain.errors import SettingsError
from bot.domain.models import GroupName
from bot.domain.notes import Notes, spell
from bot.domain.periods import moment, rfc3339
from bot.store.database import Database
from bot.store.rotations import SqlRotations

NoteOption = Annotated[str, typer.Option(metavar="TEXT", callback=masked, help="Who rotated the group, and how.")]
AtOption = Annotated[
    str, typer.Option("--at", metavar="TIME", help="When: an age like 5m, a day or a time (UTC); by default, now.")
]


def note_rotation(group: GroupArgument, *, note: NoteOption, at: AtOption = "0m") -> None:
    """Record that a group was rotated without the bot.

    Cards shown before then ask anew, because rotating again would also end the tokens minted since. The group's name is
    looked up at Turso if the settings of `serve` are there, else in the history.
    """
    settings = load_settings()
    organization, now = require_organization(settings), datetime.now(UTC)
    rotated_at = moment(at, now)

    async def record(database: Database) -> tuple[GroupName, bool]:
        name, is_known = spell(group, await _listed(), await recorded_groups(database, organization))
        store = SqlRotations(database, settings.seal(), organization)
        await Notes(store, operator(), organization).note(name, rotated_at, note, now)
        return name, is_known

    name, is_known = with_database(settings, record, writes=True)
    typer.echo(f"Noted that {name} was rotated by hand at {rfc3339(rotated_at)}.", err=True)
    if not is_known:
        typer.echo(f"Check the name: could not ask Turso, and no event is about a group called {name}.", err=True)


async def _listed() -> Sequence[GroupName] | None:
    """List the organization's groups, or return `None` without the settings, or the answer, for that."""
    try:
        settings = load(Settings)
    except SettingsError:
        return None
    if settings.turso_api_token is None:
        return None  # tokens of single groups list no others
    from bot.app.wiring import open_turso  # noqa: PLC0415 - imports what serving needs, which takes a second
    from bot.ops.metrics import Metrics  # noqa: PLC0415

    async with open_turso(settings, Metrics(__version__)) as turso:
        return await turso.groups()
