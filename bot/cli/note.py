"""`audit note`: record a rotation that was made by hand, without the bot."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bot.cli.allow import GroupArgument
from bot.cli.database import load_settings, require_organization, with_database
from bot.cli.operator import operator
from bot.cli.options import masked
from bot.domain.notes import Notes
from bot.domain.periods import moment, rfc3339
from bot.store.trail import SqlTrail

NoteOption = Annotated[str, typer.Option(metavar="TEXT", callback=masked, help="Who rotated the group, and how.")]
AtOption = Annotated[
    str, typer.Option("--at", metavar="TIME", help="When: an age like 5m, a day or a time (UTC); by default, now.")
]


def note_rotation(group: GroupArgument, *, note: NoteOption, at: AtOption = "0m") -> None:
    """Record that a group was rotated without the bot.

    Cards shown before then ask anew, because rotating again would also end the tokens minted since.
    """
    settings = load_settings()
    organization, now = require_organization(settings), datetime.now(UTC)
    rotated_at = moment(at, now)
    with_database(
        settings,
        lambda database: Notes(SqlTrail(database, settings.seal()), operator(), organization).note(
            group, rotated_at, note, now
        ),
        writes=True,
    )
    typer.echo(f"Noted that {group} was rotated by hand at {rfc3339(rotated_at)}.", err=True)
