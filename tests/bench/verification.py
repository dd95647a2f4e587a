"""What verifying and exporting the audit trail cost, in time and in memory."""

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
from bot.trail.report import VerifyOptions
from bot.trail.verify import verify
from tests.bench.databases import NewDatabase
from tests.bench.report import row, title
from tests.databases import load_url
from tests.process import environment
from tests.synthetic.rotations import insert_cancelled

FEW = 10_000
_COLUMNS = 'seq, at, action, team_id, user_id, organization, "group", rotation_id, detail, delivery, prev_hash, hash'
_BARE = f"SELECT {_COLUMNS} FROM audit_events ORDER BY seq"  # noqa: S608 - names above
# Read from outside, the peak would be at least that of the process that started it.
_WITH_PEAK = """
import atexit, sys
from bot.cli import main
status = open("/proc/self/status")
atexit.register(lambda: print(*(line for line in status if line.startswith("VmHWM")), file=sys.stderr))
main()
"""


@dataclass(frozen=True)
class Usage:
    """What a process used."""

    seconds: float
    peak_megabytes: float
    """Resident."""


@dataclass(frozen=True)
class AuditTrail:
    """A filled database."""

    database_url: str
    rows: int


async def verification(name: str, new_database: NewDatabase, rows: int) -> None:
    """Measure `audit verify` and `audit export` over 10^4 rows and over many."""
    few, many = AuditTrail(new_database(), FEW), AuditTrail(new_database(), rows)
    for trail in (few, many):
        await asyncio.to_thread(_fill, load_url(trail.database_url), trail.rows)
        await _verify(name, trail)
    await _commands(name, few, many)


async def _verify(name: str, trail: AuditTrail) -> None:
    """Compare `verify` with a bare loop that reads and hashes the same rows with the same driver."""
    rounds = max(1, min(5, 3_000_000 // trail.rows))
    verified, bare = map(min, await asyncio.to_thread(_in_turn, load_url(trail.database_url), rounds))
    loop = "a bare loop that reads and hashes them"
    title(f"Verifying {trail.rows:,} rows on {name}, compared with {loop} (best of {rounds})")
    rates = f"{trail.rows / verified:,.0f}/s / {trail.rows / bare:,.0f}/s = {bare / verified:.2f}"
    row("verify / the bare loop", rates, "at least 0.5", met=bare / verified >= 0.5)


async def _commands(name: str, few: AuditTrail, many: AuditTrail) -> None:
    """Run the real commands, and print their time and peak memory."""
    title(f"The commands over {many.rows:,} rows on {name} / over {few.rows:,}, each in a process of its own")
    for command in (
        ("verify",),
        ("export", "--output", os.devnull),
        ("export", "--format", "csv", "--output", os.devnull),
    ):
        small, large = [await asyncio.to_thread(_usage, each.database_url, *command) for each in (few, many)]
        ratio = large.peak_megabytes / small.peak_megabytes
        value = f"{large.seconds:.1f} s, {large.peak_megabytes:.0f} MB / {small.peak_megabytes:.0f} MB = {ratio:.2f}"
        met = large.peak_megabytes <= small.peak_megabytes + 10
        row(f"audit {' '.join(command[:3])}", value, "at most 10 MB more", met=met)


def _fill(url: URL, rows: int) -> None:
    migrate(url)
    with exclusive_transaction(url) as connection:
        insert_cancelled(connection, rows)


def _in_turn(url: URL, rounds: int) -> tuple[list[float], list[float]]:
    verified, bare = [], []
    with open_trail(url) as snapshot:
        driver: Any = snapshot._connection.connection.dbapi_connection
        for _ in range(rounds):
            bare.append(_timed(lambda: _hash(_bare(driver))))
            verified.append(_timed(lambda: _verified(snapshot)))
    return verified, bare


def _bare(driver: Any) -> Iterator[tuple[object, ...]]:
    """Read the rows as fast as the driver can in constant memory."""
    if not hasattr(driver, "pgconn"):
        yield from driver.execute(_BARE)
        return
    with driver.cursor("bare") as cursor:
        cursor.itersize = 2000
        yield from cursor.execute(_BARE)


def _hash(rows: Iterable[tuple[object, ...]]) -> None:
    for each in rows:
        hashlib.sha256("|".join(map(str, each)).encode()).hexdigest()


def _verified(snapshot: TrailSnapshot) -> None:
    """Check all that `audit verify` checks."""
    assert verify(snapshot.rows(), VerifyOptions(UNKEYED)).diagnosis is None
    assert snapshot.mismatches() == []
    assert snapshot.broken_guards() == set()


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _usage(database_url: str, *command: str) -> Usage:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _WITH_PEAK, "audit", *command],
        env=environment({"DATABASE_URL": database_url}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )
    return Usage(time.perf_counter() - began, int(done.stderr.split()[-2]) / 1024)
