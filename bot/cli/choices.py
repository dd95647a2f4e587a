"""The options by which the audit commands choose, and how what they say is read."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bot.domain.errors import UsageError
from bot.domain.events import RECORDED_AS, Action
from bot.domain.history import REFUSED_AS, RequestStatus
from bot.domain.periods import Period, moment
from bot.domain.states import State
from bot.trail.records import action

Group = Annotated[str | None, typer.Option(help="Only this group.")]
User = Annotated[str | None, typer.Option(help="Only this user (Slack id, or operating-system user).")]
Named = Annotated[str | None, typer.Option("--action", help="Only this action, like succeeded or rotation.denied.")]
Outcome = Annotated[RequestStatus | None, typer.Option(help="Only events in which a request came to this.")]
PeriodOption = Annotated[
    str | None, typer.Option(help="Only this period (UTC): 7d, 2026-10-01 or 2026-10-01..2026-10-31.")
]
Since = Annotated[str | None, typer.Option(help="Only from then on: 7d, 2026-10-01 or an RFC 3339 time.")]
Until = Annotated[str | None, typer.Option(help="Only before then, written alike.")]


def between(period: str | None, since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Give the first instant that is wanted and the first after it, `None` for an open end. Raises `UsageError`."""
    now = datetime.now(UTC)
    if period is None:
        return moment(since, now) if since else None, moment(until, now) if until else None
    if since or until:
        raise UsageError("--period says it all: leave out --since and --until.")
    return Period.parse(period).between(now)


def chosen_action(named: str | None, outcome: RequestStatus | None) -> Action | None:
    """Find the action that is asked for, by its name or by what a request came to. Raises `UsageError`."""
    if outcome is None:
        return action(named) if named else None
    if named:
        raise UsageError("--outcome is short for --action: give one of them.")
    return REFUSED_AS.get(outcome) or RECORDED_AS[State(outcome)]
