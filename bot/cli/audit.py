"""`audit list` and `audit show`: read the audit trail on a terminal."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bot.cli.database import load_settings, require_organization, with_database
from bot.cli.operator import operator
from bot.cli.options import (
    ActionOption,
    FormatOption,
    GroupOption,
    OptionalRotationArgument,
    OutcomeOption,
    PeriodOption,
    SinceOption,
    UntilOption,
    UserOption,
    parse_action,
    parse_range,
)
from bot.cli.output import OutputFormat, exit_if_incomplete, print_rows
from bot.cli.typos import warn_of_typo
from bot.config import DatabaseSettings
from bot.domain.errors import NoSuchRotation, UsageError
from bot.domain.events import RecordedEvent
from bot.domain.history import HistoryEntry, HistoryQuery, HistorySearch
from bot.domain.models import GroupName, RotationId, UserId
from bot.domain.policy import Visibility
from bot.domain.readable import Readable
from bot.store.database import Database
from bot.store.history import SqlHistory
from bot.store.trail import SqlTrail
from bot.trail.records import EventFilter, as_json

EventLimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=10_000, metavar="NUMBER", help="List at most this many events.")
]
RequestLimitOption = Annotated[
    int, typer.Option("--limit", min=1, max=1000, metavar="NUMBER", help="Show at most this many requests.")
]
BeforeOption = Annotated[
    int | None, typer.Option(min=1, metavar="SEQ", help="Only events older than this one: the next page.")
]

_LONG = "databases"
"""The fact that would hide the others: the names of up to twenty databases. JSON has it."""


def list_events(  # noqa: PLR0913 - one for each option
    *,
    group: GroupOption = None,
    user: UserOption = None,
    outcome: OutcomeOption = None,
    action: ActionOption = None,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: EventLimitOption = 50,
    before: BeforeOption = None,
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """List events, newest first. Times are UTC."""
    first, after = parse_range(period, since, until)
    wanted = EventFilter(
        group=GroupName(group) if group else None,
        user_id=UserId(user) if user else None,
        action=parse_action(action, outcome),
        since=first,
        until=after,
    )
    settings = load_settings()

    async def read_page(database: Database) -> Readable[RecordedEvent]:
        trail = SqlTrail(database, settings.seal())
        last = None if before is None else await trail.row(before)
        if before is not None and last is None:
            raise UsageError(f"There is no event {before}.")
        return await trail.page(wanted, limit=limit, before=last)

    events = with_database(settings, read_page)
    _print_events(events, output_format)
    if not events.found:
        warn_of_typo(settings, group)
    if events and events.found == limit and output_format is OutputFormat.TABLE:
        typer.echo(f"To list older events, if there are any: --before {events[-1].seq}", err=True)
    exit_if_incomplete(events.unreadable)


def show_rotations(  # noqa: PLR0913 - one for each option
    rotation: OptionalRotationArgument = None,
    *,
    group: GroupOption = None,
    user: UserOption = None,
    outcome: OutcomeOption = None,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: RequestLimitOption = 10,
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Show the events of one rotation, or of the newest requests.

    The events of a request come in order, oldest first; the newest request comes first. The options select requests.
    """
    first, after = parse_range(period, since, until)
    query = HistoryQuery(GroupName(group) if group else None, UserId(user) if user else None, outcome)
    if rotation is not None and (query != HistoryQuery() or first or after):
        raise UsageError("Pass either a rotation ID or options that select requests, not both.")
    settings = load_settings()
    if rotation is None:
        everything = Visibility(everything=True, patterns=(), actor=operator())
        search = HistorySearch(everything, query, first, after, limit=limit)
        events = with_database(settings, lambda database: _stories(database, settings, search))
    else:
        one = RotationId(rotation)
        events = with_database(settings, lambda database: SqlTrail(database, settings.seal()).story(one))
        if not events.found:
            raise NoSuchRotation
    _print_events(events, output_format)
    if not events.found:
        warn_of_typo(settings, group)
    exit_if_incomplete(events.unreadable)


async def _stories(database: Database, settings: DatabaseSettings, search: HistorySearch) -> Readable[RecordedEvent]:
    organization = require_organization(settings)
    trail = SqlTrail(database, settings.seal())
    found = await SqlHistory(database, organization).find(search)
    stories = [await _story(trail, entry) for entry in found.entries]
    unreadable = [*found.unreadable, *(row for story in stories for row in story.unreadable)]
    return Readable([event for story in stories for event in story], unreadable)


async def _story(trail: SqlTrail, entry: HistoryEntry) -> Readable[RecordedEvent]:
    """Read the events of a request; what has no rotation to find it by, such as a refused command, has one event."""
    if entry.rotation_id is not None:
        return await trail.story(entry.rotation_id)
    found = await trail.row(entry.key.rank[-1])
    return Readable([] if found is None else [found])


def _print_events(events: Sequence[RecordedEvent], output_format: OutputFormat) -> None:
    rows = [as_json(recorded) if output_format is OutputFormat.JSON else _row(recorded) for recorded in events]
    print_rows(rows, output_format, empty="No matching events.")


def _row(recorded: RecordedEvent) -> dict[str, Any]:
    event = recorded.event
    return {
        "seq": recorded.seq,
        "at": f"{recorded.at:%Y-%m-%d %H:%M:%S}",
        "action": str(event.action),
        "actor": f"{event.actor.team_id}/{event.actor.user_id}",
        "group": event.group,
        "rotation": event.rotation_id,
        "detail": ", ".join(f"{name}={value}" for name, value in event.detail.items() if name != _LONG),
    }
