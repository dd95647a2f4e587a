"""Read the bot's tables with plain SQL, and help time along in them."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import psycopg

from tests.torture.facts import Grant, Rotation, Row, RunningRotation

T = TypeVar("T")

_READ_SECONDS = 0.4
"""How long Turso waits for the database before it notes that it could not be read."""
_ROWS = (
    'SELECT seq, {at}, action, team_id, user_id, organization, "group", rotation_id, detail, delivery, prev_hash, hash'
    " FROM audit_events"
)
_TIME = {"sqlite": "{}", "postgresql": "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"}
_ROTATIONS = 'SELECT id, "group", team_id, user_id, reason, state, {expires}, world FROM rotations ORDER BY id'
_END_LEASES = "UPDATE rotations SET lease_until = started_at WHERE state = 'rotating'"
_WAITING = "SELECT id, attempts, kind, rotation_id FROM outbox ORDER BY id"


class Connection(Protocol):
    """What connections of both drivers can do."""

    def execute(self, query: Any, /) -> Any:
        """Execute a statement; returns a cursor."""


class Tables:
    """The tables of one database."""

    def __init__(self, url: str) -> None:
        self.kind = "sqlite" if url.startswith("sqlite") else "postgresql"
        self._place = url.removeprefix("sqlite:///")
        self._rows = _ROWS.format(at=self._time("at"))

    def connect(self, seconds: float = 5.0) -> Any:
        """Connect; wait at most so long for whatever a statement waits for."""
        if self.kind == "sqlite":
            return closing(sqlite3.connect(self._place, timeout=seconds, isolation_level=None))
        milliseconds = int(seconds * 1000)
        options = f"-c statement_timeout={milliseconds} -c default_transaction_read_only=off"
        return closing(psycopg.connect(self._place, autocommit=True, connect_timeout=2, options=options))

    async def run(self, work: Callable[[Connection], T], seconds: float = 5.0) -> T:
        """Run something with a connection of its own. Raises `OSError` if the database cannot be used in time."""

        def connected() -> T:
            try:
                with self.connect(seconds) as connection:
                    return work(connection)
            except (psycopg.Error, sqlite3.Error) as error:
                raise OSError(str(error)) from error

        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(connected)

    async def rows(self, after: int = 0) -> tuple[Row, ...]:
        """Read the trail after a row."""
        query = f"{_ROWS.format(at=self._time('at'))} WHERE seq > {after:d} ORDER BY seq"
        return await self.run(lambda connection: tuple(map(_row, connection.execute(query).fetchall())))

    async def rotations(self) -> tuple[Rotation, ...]:
        """Read the table of rotations."""
        query = _ROTATIONS.format(expires=self._time("expires_at"))
        found = await self.run(lambda connection: connection.execute(query).fetchall())
        return tuple(_rotation(each) for each in found)

    async def grants(self) -> tuple[Grant, ...]:
        """Read the allowlist."""
        query = "SELECT id, team_id, user_id, pattern, role FROM allowlist ORDER BY id"
        return await self.run(lambda connection: tuple(Grant(*each) for each in connection.execute(query).fetchall()))

    async def running(self, group: str) -> RunningRotation | None:
        """Read which rotation of a group runs, and the row of its start. Raises `OSError`."""
        name = group.replace("'", "''")
        rotation = f"SELECT id, claim FROM rotations WHERE state = 'rotating' AND \"group\" = '{name}'"  # noqa: S608
        start = f"{_ROWS.format(at=self._time('at'))} WHERE action = 'rotation.started' AND rotation_id = "

        def read(connection: Connection) -> RunningRotation | None:
            found = connection.execute(rotation).fetchone()
            started = found and connection.execute(f"{start}'{found[0]}'").fetchone()
            return RunningRotation(found[0], found[1], _row(started)) if started else None

        return await self.run(read, _READ_SECONDS)

    async def undelivered(self) -> dict[tuple[int, int], str]:
        """Read the outbox: the id and number of attempts of each, and what it is."""
        found = await self.run(lambda connection: connection.execute(_WAITING).fetchall())
        return {(each[0], each[1]): f"{each[2]} {each[3]}" for each in found}

    async def end_leases(self) -> None:
        """Let the leases of processes that were killed end now."""
        await self.run(lambda connection: connection.execute(_END_LEASES))

    async def deliver_now(self, waiting: Iterable[tuple[int, int]]) -> None:
        """Let the pauses of notifications end now, unless somebody has tried one since."""
        queries = [
            f"UPDATE outbox SET due_at = created_at WHERE id = {number:d} AND attempts = {attempts:d}"  # noqa: S608
            for number, attempts in waiting
        ]
        await self.run(lambda connection: [connection.execute(query) for query in queries])

    def _time(self, column: str) -> str:
        """Return the expression that reads a time as the text that was hashed."""
        return _TIME[self.kind].format(column)


def _row(columns: Sequence[Any]) -> Row:
    return Row(*[*columns, _unix(columns[1])])


def _rotation(columns: Sequence[Any]) -> Rotation:
    *known, expires_at, world = columns
    return Rotation(*[*known, _unix(expires_at), world])


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()
