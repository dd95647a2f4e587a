"""The chain of hashes: what verifying and exporting cost, in time and in memory."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL

from bot.store.migrations import exclusive_transaction, migrate
from bot.store.trail_reader import TrailSnapshot, open_trail
from bot.trail.chain import UNKEYED
from bot.trail.verify import VerifyOptions, verify
from tests.bench.report import row, title
from tests.bench.requests import stories
from tests.databases import load_url
from tests.process import environment

FEW = 10_000
_COLUMNS = 'seq, at, action, team_id, user_id, organization, "group", rotation_id, detail, delivery, prev_hash, hash'
_BARE = f"SELECT {_COLUMNS} FROM audit_events ORDER BY seq"  # noqa: S608 - names above
# Asked from outside, the peak would be at least that of the process that started it.
_WATCHED = """
import atexit, sys
from bot.cli import main
status = open("/proc/self/status")
atexit.register(lambda: print(*(line for line in status if line.startswith("VmHWM")), file=sys.stderr))
main()
"""


@dataclass(frozen=True)
class Spent:
    """What a process took."""

    seconds: float
    megabytes: float
    """Resident, at its peak."""


@dataclass(frozen=True)
class AuditTrail:
    """A filled database."""

    database_url: str
    rows: int


async def chain(name: str, fresh: Callable[[], str], rows: int) -> None:
    """Measure what reads the whole trail, over 10^4 rows and over many."""
    few, many = AuditTrail(fresh(), FEW), AuditTrail(fresh(), rows)
    for trail in (few, many):
        await asyncio.to_thread(_fill, load_url(trail.database_url), trail.rows)
        await _verification(name, trail)
    await _commands(name, few, many)


async def _verification(name: str, trail: AuditTrail) -> None:
    """Compare `verify` with a bare loop that reads and hashes the same rows with the same driver."""
    rounds = max(1, min(5, 3_000_000 // trail.rows))
    ours, bare = map(min, await asyncio.to_thread(_in_turn, load_url(trail.database_url), rounds))
    title(f"Verifying {trail.rows:,} rows on {name}, against a bare loop that reads and hashes them (best of {rounds})")
    rates = f"{trail.rows / ours:,.0f}/s / {trail.rows / bare:,.0f}/s = {bare / ours:.2f}"
    row("rate of verify / of the bare loop", rates, "at least 0.5", met=bare / ours >= 0.5)


async def _commands(name: str, few: AuditTrail, many: AuditTrail) -> None:
    """Show time and peak memory of the real commands."""
    title(f"The commands over {many.rows:,} rows on {name} / over {few.rows:,}, in processes of their own")
    for command in (
        ("verify",),
        ("export", "--output", os.devnull),
        ("export", "--format", "csv", "--output", os.devnull),
    ):
        small, large = [await asyncio.to_thread(_spent, each.database_url, *command) for each in (few, many)]
        ratio = large.megabytes / small.megabytes
        value = f"{large.seconds:.1f} s, {large.megabytes:.0f} MB / {small.megabytes:.0f} MB = {ratio:.2f}"
        met = large.megabytes <= small.megabytes + 10
        row(f"audit {' '.join(command[:3])}", value, "at most 10 MB more", met=met)


def _fill(url: URL, rows: int) -> None:
    migrate(url)
    with exclusive_transaction(url) as connection:
        stories(connection, rows)


def _in_turn(url: URL, rounds: int) -> tuple[list[float], list[float]]:
    ours, bare = [], []
    with open_trail(url) as reading:
        driver: Any = reading._connection.connection.dbapi_connection
        for _ in range(rounds):
            bare.append(_timed(lambda: _hashed(_bare(driver))))
            ours.append(_timed(lambda: _sound(reading)))
    return ours, bare


def _bare(driver: Any) -> Iterator[tuple[object, ...]]:
    """Read the rows as fast as the driver can in constant memory."""
    if not hasattr(driver, "pgconn"):
        yield from driver.execute(_BARE)
        return
    with driver.cursor("bare") as cursor:
        cursor.itersize = 2000
        yield from cursor.execute(_BARE)


def _hashed(rows: Iterable[tuple[object, ...]]) -> None:
    for each in rows:
        hashlib.sha256("|".join(map(str, each)).encode()).hexdigest()


def _sound(reading: TrailSnapshot) -> None:
    """Do all that `audit verify` does."""
    assert verify(reading.rows(), VerifyOptions(UNKEYED)).diagnosis is None
    assert reading.mismatches() == []
    assert reading.broken_triggers() == set()


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _spent(database_url: str, *command: str) -> Spent:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, "audit", *command],
        env=environment({"DATABASE_URL": database_url}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    return Spent(time.perf_counter() - began, int(done.stderr.split()[-2]) / 1024)
