"""Statistics of history in SQL: requests, refused commands and notes, counted in constant memory."""

from contextlib import suppress
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Double,
    Select,
    Subquery,
    case,
    cast,
    extract,
    func,
    literal_column,
    null,
    select,
    text,
    union_all,
)

from bot.domain.history import RECORDED_ALONE, RequestStatus
from bot.domain.models import GroupName
from bot.domain.states import State
from bot.domain.statistics import Interval, SeriesKey, StatisticsQuery, Tally
from bot.store.rows import fault
from bot.store.tables import NO_ROTATION, audit_events, rotations

_STATUSES = {str(action): str(status) for status, action in RECORDED_ALONE.items()}


class SqlStatistics:
    """The statistics of one query, over a connection without a time limit."""

    def __init__(self, connection: Connection, query: StatisticsQuery) -> None:
        self._connection = connection
        self._query = query
        self._sqlite = connection.dialect.name == "sqlite"
        self.uncounted = 0
        """How many requests `tallies` has left out, as they cannot be read."""

    def tallies(self, interval: Interval) -> list[Tally]:
        """Count each series in each interval, in no particular order."""
        commands = union_all(self._requests(interval), self._refusals(interval)).subquery("commands")
        keys = (commands.c.start, commands.c.group, commands.c.outcome)
        query = select(*keys, func.count().label("number"), func.sum(commands.c.unresolved).label("unresolved"))
        tallies = []
        for row in self._connection.execute(query.group_by(*keys)):
            try:
                tallies.append(Tally(_day(row.start), _key(row), row.number, int(row.unresolved)))
            except (TypeError, ValueError):
                self.uncounted += row.number
        return tallies

    def medians(self, interval: Interval | None = None) -> dict[tuple[date | None, SeriesKey], float]:
        """Return the median seconds from request to end, by series and, if an interval is given, by interval.

        Refused commands, notes and open requests have none.
        """
        seconds = self._seconds()
        requests = self._requests(interval).add_columns(self._at_least(0.0, seconds).label("seconds"))
        ended = requests.where(rotations.c.ended_at.is_not(None), seconds.is_not(None)).subquery("ended")
        medians = {}
        for row in self._connection.execute(_medians(ended)):
            with suppress(TypeError, ValueError):  # counted by `tallies`
                medians[None if interval is None else _day(row.start), _key(row)] = float(row.seconds)
        return medians

    def _requests(self, interval: Interval | None) -> Select[Any]:
        columns = rotations.c
        open_ended = (columns.state == str(State.UNKNOWN)) & columns.resolved_as.is_(None)
        query = select(
            self._start(columns.requested_at, interval).label("start"),
            columns.group,
            columns.state.label("outcome"),
            case((open_ended, 1), else_=0).label("unresolved"),
        )
        return self._filtered(query, columns.organization, columns.group, columns.requested_at)

    def _refusals(self, interval: Interval | None) -> Select[Any]:
        columns = audit_events.c
        query = select(
            self._start(columns.at, interval).label("start"),
            columns.group,
            case(_STATUSES, value=columns.action).label("outcome"),
            literal_column("0"),
        ).where(text(NO_ROTATION))
        return self._filtered(query, columns.organization, columns.group, columns.at)

    def _filtered(
        self, rows: Select[Any], organization: ColumnElement[str], group: ColumnElement[Any], at: ColumnElement[Any]
    ) -> Select[Any]:
        query = self._query
        if query.organization is not None:
            # Without statistics SQLite looks up every rotation of the only organization along an index, which takes
            # three times as long as reading the whole table.
            everything = self._sqlite and query.group is None and query.since is None
            rows = rows.where((organization.concat("") if everything else organization) == query.organization)
        if query.group is not None:
            rows = rows.where(group == query.group)
        if query.since is not None:
            rows = rows.where(at >= query.since)
        return rows if query.until is None else rows.where(at < query.until)

    def _start(self, at: ColumnElement[Any], interval: Interval | None) -> ColumnElement[Any]:
        """Return the first day (UTC) of the interval."""
        if interval is None:
            return cast(null(), Date)
        if not self._sqlite:
            return cast(func.date_trunc(str(interval), func.timezone("UTC", at)), Date)
        day = func.substr(at, 1, len("2026-10-01"))
        match interval:
            case Interval.DAY:
                return day
            case Interval.WEEK:
                return func.date(day, "weekday 0", "-6 days")
            case Interval.MONTH:
                return func.date(day, "start of month")

    def _at_least(self, least: float, value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the value, or the least if it is below, as after a clock that stepped back."""
        return (func.max if self._sqlite else func.greatest)(value, least)

    def _seconds(self) -> ColumnElement[Any]:
        ended, requested = rotations.c.ended_at, rotations.c.requested_at
        if self._sqlite:
            return (func.julianday(ended) - func.julianday(requested)) * 86400.0
        return cast(extract("epoch", ended) - extract("epoch", requested), Double)


def _medians(ended: Subquery) -> Select[Any]:
    """Select the middle row of each series, or the average of the two in the middle."""
    keys = (ended.c.start, ended.c.group, ended.c.outcome)
    in_order: Any = {"partition_by": keys, "order_by": ended.c.seconds, "rows": (None, None)}  # one sort for both
    place = func.row_number().over(**in_order).label("place")
    size = func.count().over(**in_order).label("size")
    numbered = select(*keys, ended.c.seconds, place, size).subquery("numbered")
    keys = (numbered.c.start, numbered.c.group, numbered.c.outcome)
    return (
        select(*keys, func.avg(numbered.c.seconds).label("seconds"))
        .where(numbered.c.place.in_([(numbered.c.size + 1) // 2, (numbered.c.size + 2) // 2]))
        .group_by(*keys)
    )


def _day(start: object) -> date:
    """Return a day. Raises `TypeError` or `ValueError` if it is none."""
    if isinstance(start, date):
        return start
    if isinstance(start, str):
        return date.fromisoformat(start)
    raise TypeError("no day")


def _key(row: Any) -> SeriesKey:
    """Return the series. Raises `ValueError` if there is none."""
    if fault(audit_events.c.group, row.group):  # which may have none
        raise ValueError("no group")
    return SeriesKey(None if row.group is None else GroupName(row.group), RequestStatus(row.outcome))
