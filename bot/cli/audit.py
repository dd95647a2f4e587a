"""`audit list` and `audit show`: the history on a terminal."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from bot.cli import export, verification
from bot.cli.choices import Group, Named, Outcome, PeriodOption, Since, Until, User, between, chosen_action
from bot.cli.database import configured, with_database
from bot.cli.operator import operator
from bot.cli.output import Format, show
from bot.config import DatabaseSettings
from bot.domain.errors import NoSuchRotation, SettingsError, UsageError
from bot.domain.events import RecordedEvent
from bot.domain.history import HistoryEntry, HistoryQuery, HistorySearch
from bot.domain.models import GroupName, Organization, RotationId, UserId
from bot.domain.policy import Visibility
from bot.store.database import Database
from bot.store.history import SqlHistory
from bot.store.trail import SqlTrail
from bot.trail.records import EventFilter, as_json

app = typer.Typer(help="Read what happened, and whether the record is whole.", no_args_is_help=True)
app.command("export")(export.export)
app.command("verify")(verification.verify)

As = Annotated[Format, typer.Option("--format", help="How to print the events.")]
Requests = Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many requests.")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many events.")]

_AT_ONCE = 1000  # how many events may have been written at one moment


@app.command("list")
def list_events(  # noqa: PLR0913 - one for each option
    *,
    group: Group = None,
    user: User = None,
    outcome: Outcome = None,
    named: Named = None,
    period: PeriodOption = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    before: Annotated[
        int | None, typer.Option(min=1, metavar="SEQ", help="Only events older than this one: the page after it.")
    ] = None,
    form: As = Format.TABLE,
) -> None:
    """List events, newest first. Times are UTC."""
    first, after = between(period, since, until)
    wanted = EventFilter(
        group=GroupName(group) if group else None,
        user_id=UserId(user) if user else None,
        action=chosen_action(named, outcome),
        since=first,
        until=after,
    )
    settings = configured()

    async def page(database: Database) -> Sequence[RecordedEvent]:
        trail = SqlTrail(database, settings.seal())
        last = None if before is None else await trail.row(before)
        if before is not None and last is None:
            raise UsageError(f"There is no event {before}.")
        return await trail.page(wanted, limit=limit, before=last)

    events = with_database(settings, page)
    _print(events, form)
    if len(events) == limit and form is Format.TABLE:
        typer.echo(f"Older events, if there are any: --before {events[-1].seq}", err=True)


@app.command("show")
def show_stories(  # noqa: PLR0913 - one for each option
    rotation: Annotated[str | None, typer.Argument(help="The rotation's id, as the bot's messages name it.")] = None,
    *,
    group: Group = None,
    user: User = None,
    outcome: Outcome = None,
    period: PeriodOption = None,
    since: Since = None,
    until: Until = None,
    limit: Requests = 10,
    form: As = Format.TABLE,
) -> None:
    """Tell the story of one rotation, in order; or those of the newest requests that match, the newest first."""
    first, after = between(period, since, until)
    query = HistoryQuery(GroupName(group) if group else None, UserId(user) if user else None, outcome)
    if rotation is not None and (query != HistoryQuery() or first or after):
        raise UsageError("Name a rotation or choose requests by options, not both.")
    settings = configured()
    if rotation is None:
        search = HistorySearch(
            Visibility(everything=True, patterns=(), actor=operator()), query, first, after, limit=limit
        )
        events = with_database(settings, lambda database: _stories(database, settings, search))
    else:
        one = RotationId(rotation)
        events = with_database(settings, lambda database: SqlTrail(database, settings.seal()).story(one))
        if not events:
            raise NoSuchRotation
    _print(events, form)


async def _stories(database: Database, settings: DatabaseSettings, search: HistorySearch) -> Sequence[RecordedEvent]:
    if settings.turso_organization is None:
        raise SettingsError("TURSO_ORGANIZATION is required.")
    trail = SqlTrail(database, settings.seal())
    found = await SqlHistory(database, Organization(settings.turso_organization)).find(search)
    return [event for entry in found.entries for event in await _story(trail, entry)]


async def _story(trail: SqlTrail, entry: HistoryEntry) -> Sequence[RecordedEvent]:
    """Read the events of a request; a refused command has one, and no rotation to find it by."""
    if entry.rotation_id is not None:
        return await trail.story(entry.rotation_id)
    at, seq = entry.key.at, entry.key.rank[-1]
    then = await trail.page(EventFilter(since=at, until=at + timedelta(microseconds=1)), limit=_AT_ONCE)
    return [recorded for recorded in then if recorded.seq == seq]


def _print(events: Sequence[RecordedEvent], form: Format) -> None:
    rows = [as_json(recorded) if form is Format.JSON else _row(recorded) for recorded in events]
    show(rows, form, empty="No event matches.")


def _row(recorded: RecordedEvent) -> dict[str, Any]:
    event = recorded.event
    return {
        "seq": recorded.seq,
        "at": f"{recorded.at:%Y-%m-%d %H:%M:%S}",
        "action": str(event.action),
        "actor": f"{event.actor.team_id}/{event.actor.user_id}",
        "group": event.group,
        "rotation": event.rotation_id,
        "detail": ", ".join(f"{name}={value}" for name, value in event.detail.items()),
    }
