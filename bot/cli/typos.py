"""Warn of a group that no event names: its name is probably misspelt."""

from collections.abc import Sequence

import typer

from bot.cli.database import with_database
from bot.cli.operator import operator
from bot.config import DatabaseSettings
from bot.domain.errors import NoSuchGroup
from bot.domain.models import GroupName, Organization
from bot.domain.naming import similar
from bot.domain.policy import Visibility
from bot.domain.text import escaped
from bot.store.database import Database
from bot.store.history import MAX_NAMES, SqlHistory
from bot.store.trail import SqlTrail
from bot.trail.records import EventFilter


def warn_of_typo(settings: DatabaseSettings, group: str | None) -> None:
    """Warn on standard error if no event names the group, and suggest groups that some do."""
    if not group:
        return
    close = with_database(settings, lambda database: _similar(database, settings, GroupName(group)))
    if close is not None:
        typer.echo(f"No event names a group called {escaped(group)}.{did_you_mean(close)}", err=True)


def hint(error: NoSuchGroup) -> str:
    """Say what may be meant instead, as the end of a text."""
    if error.holder is not None:
        return f" It has a database of this name, in the group {error.holder}."
    return did_you_mean(error.similar)


def did_you_mean(groups: Sequence[GroupName]) -> str:
    """Suggest groups, as the end of a text."""
    return f" Did you mean {' or '.join(groups)}?" if groups else ""


async def _similar(database: Database, settings: DatabaseSettings, group: GroupName) -> Sequence[GroupName] | None:
    """Return groups with a similar name, or `None` if an event names this one."""
    if await SqlTrail(database, settings.seal()).page(EventFilter(group=group), limit=1):
        return None
    organization = Organization(settings.turso_organization or "")
    return similar(group, await recorded_groups(database, organization))


async def recorded_groups(database: Database, organization: Organization) -> Sequence[GroupName]:
    """List the groups that history knows."""
    everything = Visibility(everything=True, patterns=(), actor=operator())
    return await SqlHistory(database, organization).groups(everything, 2 * MAX_NAMES)
