"""Faults of the database."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from tests.torture.rig import Rig
from tests.torture.schedule import Planned
from tests.torture.tables import Connection, Tables

_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turso-rotate'"
_TRIGGERS = {
    "sqlite": "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
    "postgresql": "SELECT tgname, tgrelid::regclass::text, '' FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname",
}
_DECIDED = "SELECT id, detail FROM rotations WHERE state IN ('succeeded', 'failed', 'cancelled', 'expired') ORDER BY id"
"""Not *unknown*: a late answer or a judgement may still change its detail."""
_SPOILED = "no JSON"
_PATIENCE_SECONDS = 0.5

T = TypeVar("T")


@dataclass(frozen=True)
class _Trigger:
    name: str
    table: str
    definition: str
    """Empty on PostgreSQL, where it is switched off instead."""

    @property
    def removal(self) -> str:
        """The statement that takes it away."""
        disabling = f"ALTER TABLE {self.table} DISABLE TRIGGER {self.name}"
        return f"DROP TRIGGER {self.name}" if self.definition else disabling

    @property
    def restoration(self) -> str:
        """The statement that puts it back."""
        return self.definition or f"ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {self.name}"


class DatabaseFaults:
    """Crashes, silence, locks, a database that refuses writes, and an owner who meddles with it."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._ledger = rig.ledger
        self._tables = Tables(rig.database_url)

    async def server_crashes(self, planned: Planned) -> None:
        """Crash PostgreSQL, and start it again."""
        assert self._rig.server is not None
        with self._ledger.fault("database", "crashed"):
            await asyncio.to_thread(self._rig.server.stop, "immediate")
            await asyncio.sleep(planned.lasts)
            await asyncio.to_thread(self._rig.server.start)

    async def server_stands_still(self, planned: Planned) -> None:
        """Let PostgreSQL fall silent."""
        assert self._rig.server is not None
        with self._ledger.fault("database", "stood still"), self._rig.server.paused():
            await asyncio.sleep(planned.lasts)

    async def database_is_read_only(self, planned: Planned) -> None:
        """Give new sessions a database that refuses writes, and end the old ones."""
        with self._ledger.fault("database", "was read-only"):
            await asyncio.to_thread(self._alter, "default_transaction_read_only = on")
            await asyncio.sleep(planned.lasts)
            await asyncio.to_thread(self._alter, None)

    async def file_is_locked(self, planned: Planned) -> None:
        """Hold SQLite's lock for writers."""
        with self._ledger.fault("database", "was locked"), self._locked():
            await asyncio.sleep(planned.lasts)

    async def guard_is_missing(self, planned: Planned) -> None:
        """Take a guard of history away, as the owner of the database can, and put it back."""
        found = await self._as_owner(self._triggers)
        chosen = found[int(planned.draw * len(found))]
        with self._ledger.fault("guards", f"lacked {chosen.name}"):
            await self._as_owner(lambda connection: connection.execute(chosen.removal))
            await asyncio.sleep(planned.lasts)
            await self._as_owner(lambda connection: connection.execute(chosen.restoration))

    async def row_is_spoiled(self, planned: Planned) -> None:
        """Make a decided rotation unreadable behind the guards' back, and mend it."""
        found = await self._as_owner(lambda connection: connection.execute(_DECIDED).fetchall())
        if found:
            rotation_id, detail = found[int(planned.draw * len(found))]
            with self._ledger.fault("row", f"{rotation_id} was spoiled"):
                await self._as_owner(lambda connection: self._put(connection, rotation_id, _SPOILED))
                await asyncio.sleep(planned.lasts)
                await self._as_owner(lambda connection: self._put(connection, rotation_id, detail))

    async def _as_owner(self, work: Callable[[Connection], T]) -> T:
        """Do something with a short patience for locks, and again until it works."""

        def connected() -> T:
            with self._tables.connect(_PATIENCE_SECONDS) as connection:
                return work(connection)

        while True:
            with suppress(psycopg.Error, sqlite3.Error):
                return await asyncio.to_thread(connected)
            await asyncio.sleep(_PATIENCE_SECONDS)

    def _triggers(self, connection: Connection) -> list[_Trigger]:
        return [_Trigger(*each) for each in connection.execute(_TRIGGERS[self._tables.kind]).fetchall()]

    def _put(self, connection: Connection, rotation_id: str, detail: str) -> None:
        """Write a rotation's detail in one transaction in which no guard is in place."""
        triggers = [each for each in self._triggers(connection) if each.table == "rotations"]
        connection.execute("BEGIN" if self._tables.kind == "postgresql" else "BEGIN IMMEDIATE")
        for each in triggers:
            connection.execute(each.removal)
        written = detail.replace("'", "''")
        connection.execute(f"UPDATE rotations SET detail = '{written}' WHERE id = '{rotation_id}'")  # noqa: S608
        for each in triggers:
            connection.execute(each.restoration)
        connection.execute("COMMIT")

    def _alter(self, setting: str | None) -> None:
        address, _, name = self._rig.database_url.rpartition("/")
        change = f"SET {setting}" if setting else "RESET default_transaction_read_only"
        with psycopg.connect(f"{address}/postgres", autocommit=True, connect_timeout=5) as connection:
            connection.execute(f'ALTER DATABASE "{name}" {change}'.encode())
            if setting:
                connection.execute(_END_SESSIONS)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        connection = sqlite3.connect(
            self._rig.database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=0.5
        )
        try:
            with suppress(sqlite3.OperationalError):  # a process that stands still has it already
                connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()
