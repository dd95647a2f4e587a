"""Read the whole audit trail in order, in one snapshot and constant memory, even where rows are corrupt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice

from sqlalchemy import URL, Connection, func, select

from bot.store import guards, reconcile
from bot.store.damage import damage
from bot.store.driver_errors import translated_errors
from bot.store.snapshot import open_snapshot
from bot.store.streaming import stream, time_text
from bot.store.tables import audit_events
from bot.trail.chain import Row

_COLUMNS = 'action, team_id, user_id, organization, "group", rotation_id, detail, delivery, prev_hash, hash'


class TrailSnapshot:
    """The trail in the state in which it was opened."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def last(self) -> int | None:
        """Read the highest number, if there are rows."""
        with translated_errors():
            found: object = self._connection.execute(select(func.max(audit_events.c.seq))).scalar()
        return found if isinstance(found, int) else None

    def span(self, since: datetime | None, until: datetime | None) -> tuple[int, int] | None:
        """Find the first and last row of a period, if it has any; `until` is the first instant after it."""
        seq, at = audit_events.c.seq, audit_events.c.at
        query = select(func.min(seq), func.max(seq))
        query = query if since is None else query.where(at >= since)
        query = query if until is None else query.where(at < until)
        with translated_errors():
            first, last = self._connection.execute(query).one()
        return None if first is None else (first, last)

    def rows(self, first: int | None = None, last: int | None = None) -> Iterator[Row]:
        """Read the rows in order: all, or those from `first` to `last`. Raises `DatabaseError`."""
        where = "" if first is None else f" WHERE seq BETWEEN {first} AND {last}"
        at = time_text(self._connection, "at")
        query = f"SELECT seq, {at}, {_COLUMNS} FROM audit_events{where} ORDER BY seq"  # noqa: S608 - names above
        with translated_errors():
            yield from stream(self._connection, query, "trail", Row._make)

    def broken_guards(self) -> set[str]:
        """Return the names of the guards of history that are missing, disabled or changed, and of what was added."""
        with translated_errors():
            return guards.broken_guards(self._connection)

    def damage(self) -> Sequence[str]:
        """Describe where a SQLite file is damaged, up to a limit."""
        with translated_errors():
            return damage(self._connection)

    def mismatches(self) -> list[str]:
        """Describe rotations and grants that differ from the trail, up to a limit. Verify the trail first."""
        with translated_errors():
            return list(islice(reconcile.mismatches(self._connection), reconcile.MAX_REPORTED))


@contextmanager
def open_trail(url: URL) -> Iterator[TrailSnapshot]:
    """Open a snapshot of the trail. Raises `DatabaseError`."""
    with open_snapshot(url) as connection:
        yield TrailSnapshot(connection)
