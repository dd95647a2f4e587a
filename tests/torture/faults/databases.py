"""Faults of the database."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from tests.torture.rig import Rig
from tests.torture.schedule import Planned

_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turso-rotate'"


class DatabaseFaults:
    """Crashes, silence, locks, and a database that refuses writes."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._ledger = rig.ledger

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
