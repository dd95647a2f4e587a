"""`audit stats`: how often, how fast and with what outcome."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console

from bot.cli.chart import Canvas, chart
from bot.cli.database import load_settings
from bot.cli.options import FormatOption, GroupOption, PeriodOption, SinceOption, UntilOption, parse_range
from bot.cli.output import OutputFormat, print_rows
from bot.cli.typos import warn_of_typo
from bot.domain.history import RECORDED_ALONE, RequestStatus
from bot.domain.models import GroupName, Organization
from bot.domain.statistics import Interval, Medians, StatisticsQuery, Tally, rank
from bot.store.driver_errors import translated_errors
from bot.store.snapshot import open_snapshot
from bot.store.statistics import SqlStatistics

IntervalOption = Annotated[Interval, typer.Option("--by", help="The interval that is counted together (UTC).")]
_HINT = "\n(To list them: audit list --outcome unknown. To judge one: audit resolve.)"


def show_stats(  # noqa: PLR0913 - one for each option
    *,
    group: GroupOption = None,
    period: PeriodOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    by: IntervalOption = Interval.WEEK,
    output_format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Count requests, refused commands and noted rotations over time.

    Counts by group and outcome. A request counts in the interval in which it was made; the median is the time from the
    request to its end.
    """
    first, after = parse_range(period, since, until)
    settings = load_settings()
    organization = Organization(settings.turso_organization) if settings.turso_organization else None
    scope = StatisticsQuery(organization, GroupName(group) if group else None, first, after)
    with open_snapshot(settings.database_url) as connection, translated_errors():
        statistics = SqlStatistics(connection, scope)
        tallies = statistics.tallies(by)
        medians = statistics.medians(None if output_format is OutputFormat.TABLE else by)
    if output_format is OutputFormat.TABLE and tallies:
        _draw(tallies, medians, by, after)
    else:
        print_rows(_rows(tallies, medians), output_format, empty="No matching requests.")
    if not tallies:
        warn_of_typo(settings, group)
    if statistics.uncounted:
        one = statistics.uncounted == 1
        left_out = (
            "1 request cannot be read, and is" if one else f"{statistics.uncounted:,} requests cannot be read, and are"
        )
        typer.echo(f"turso-rotate: {left_out} not counted.", err=True)
        raise typer.Exit(1)


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
    drawn = chart(tallies, medians, by, _chart_end(after), canvas)
    print_rows(list(drawn.rows()), OutputFormat.TABLE, empty="")
    typer.echo(f"\n{drawn.legend()}\n{_totals(tallies)}")


def _chart_end(after: datetime | None) -> date:
    """Return the last day of the period, but not one in the future."""
    now = datetime.now(UTC)
    return (now if after is None else min(now, after - timedelta(microseconds=1))).date()


def _totals(tallies: Sequence[Tally]) -> str:
    alone = sum(tally.count for tally in tallies if tally.key.outcome in RECORDED_ALONE)
    noted = sum(tally.count for tally in tallies if tally.key.outcome is RequestStatus.NOTED)
    requests = sum(tally.count for tally in tallies) - alone
    unresolved = sum(tally.unresolved for tally in tallies)
    by_hand = f" Noted as made by hand: {noted:,}." if noted else ""
    totals = (
        f"Requests: {requests:,}. Refused commands: {alone - noted:,}.{by_hand} Unresolved unknowns: {unresolved:,}."
    )
    return f"{totals}{_HINT if unresolved else ''}"
