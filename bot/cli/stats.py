"""`audit stats`: how often, how fast and with what outcome."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console

from bot.cli.chart import Canvas, chart
from bot.cli.choices import Group, PeriodOption, Since, Until, between
from bot.cli.database import configured
from bot.cli.output import Format, show
from bot.domain.history import RequestStatus
from bot.domain.models import GroupName, Organization
from bot.domain.statistics import Interval, Medians, StatisticsQuery, Tally, rank
from bot.store.driver_errors import translated_errors
from bot.store.snapshot import open_snapshot
from bot.store.statistics import SqlStatistics

By = Annotated[Interval, typer.Option(help="How much time is counted together (UTC).")]
As = Annotated[Format, typer.Option("--format", help="How to print the numbers.")]
_HINT = "\n(`audit list --outcome unknown` finds them, `audit resolve` judges them.)"
_REFUSED = frozenset({RequestStatus.DENIED, RequestStatus.REJECTED})


def stats(  # noqa: PLR0913 - one for each option
    *,
    group: Group = None,
    period: PeriodOption = None,
    since: Since = None,
    until: Until = None,
    by: By = Interval.WEEK,
    form: As = Format.TABLE,
) -> None:
    """Count requests and refused commands by group and outcome, over time.

    A request counts when it was made; medians are of the seconds from there to its end.
    """
    first, after = between(period, since, until)
    settings = configured()
    organization = Organization(settings.turso_organization) if settings.turso_organization else None
    scope = StatisticsQuery(organization, GroupName(group) if group else None, first, after)
    with open_snapshot(settings.database_url) as connection, translated_errors():
        statistics = SqlStatistics(connection, scope)
        tallies = statistics.tallies(by)
        medians = statistics.medians(None if form is Format.TABLE else by)
    if form is Format.TABLE and tallies:
        _draw(tallies, medians, by, after)
    else:
        show(_rows(tallies, medians), form, empty="No request matches.")


def _rows(tallies: Sequence[Tally], medians: Medians) -> list[dict[str, Any]]:
    return [
        {
            "start": tally.start.isoformat(),
            "group": tally.key.group,
            "outcome": str(tally.key.outcome),
            "count": tally.count,
            "unresolved": tally.unresolved,
            "median_seconds": None if (found := medians.get((tally.start, tally.key))) is None else round(found, 3),
        }
        for tally in sorted(tallies, key=lambda tally: (tally.start, rank(tally.key)))
    ]


def _draw(tallies: Sequence[Tally], medians: Medians, by: Interval, after: datetime | None) -> None:
    console = Console()
    canvas = Canvas(console.width, plain=console.options.ascii_only)
    drawn = chart(tallies, medians, by, _last_day(after), canvas)
    show(list(drawn.rows()), Format.TABLE, empty="")
    typer.echo(f"\n{drawn.legend()}\n{_totals(tallies)}")


def _last_day(after: datetime | None) -> date:
    """Let the chart end where it was asked to, but not in the future."""
    now = datetime.now(UTC)
    return (now if after is None else min(now, after - timedelta(microseconds=1))).date()


def _totals(tallies: Sequence[Tally]) -> str:
    refused = sum(tally.count for tally in tallies if tally.key.outcome in _REFUSED)
    requests = sum(tally.count for tally in tallies) - refused
    unresolved = sum(tally.unresolved for tally in tallies)
    said = f"Requests: {requests:,}. Refused commands: {refused:,}. Unresolved unknowns: {unresolved:,}"
    return f"{said}.{_HINT if unresolved else ''}"
