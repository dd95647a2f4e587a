"""The chain of hashes: what verifying, exporting and appending cost beside the same without a chain."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from sqlalchemy import URL, BigInteger, Column, Connection, Identity, Index, Integer, MetaData, Table, insert

from bot.chain import UNKEYED
from bot.errors import DatabaseUnavailable
from bot.models import Action, Actor, Event, GroupName, Organization, RotationId, TeamId, UserId
from bot.store.audit import record
from bot.store.chain import open_trail
from bot.store.database import Database, open_database
from bot.store.migrations import migrate, transaction
from bot.store.sqltypes import database_now
from bot.store.tables import audit_events
from bot.verification import Terms, verify
from tests.bench.fill import events, fill, sealed
from tests.bench.report import percentile, row, title
from tests.process import environment
from tests.store.conftest import load_url

ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
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
class Appends:
    """What writers in parallel saw; nothing is tried again."""

    seconds: Sequence[float]
    """From the call to the commit, or to being turned away."""
    refused: int


async def verification(name: str, database_url: str, rows: int, rounds: int = 5) -> None:
    """Compare `verify` with a bare loop that reads and hashes the same rows with the same driver."""
    url = load_url(database_url)
    await asyncio.to_thread(_fill, url, rows)
    title(f"Verifying {rows:,} rows on {name}, against a bare loop that reads and hashes them (the best of the rounds)")
    seen = await asyncio.to_thread(_in_turn, url, rounds)
    ours, bare = (min(times) for times in seen)
    rates = f"{rows / ours:,.0f}/s / {rows / bare:,.0f}/s = {bare / ours:.2f}"
    row("rate of verify / of the bare loop", rates, "at least 0.5", met=bare / ours >= 0.5)


async def memory(name: str, few_url: str, many_url: str, rows: int) -> None:
    """Show time and peak memory of the real commands, over 10^4 rows and over many."""
    for url, count in ((few_url, 10_000), (many_url, rows)):
        await asyncio.to_thread(_fill, load_url(url), count)
    title(f"The commands over {rows:,} rows on {name}, in processes of their own")
    for command in (
        ("verify",),
        ("export", "--output", os.devnull),
        ("export", "--format", "csv", "--output", os.devnull),
    ):
        few, many = [await asyncio.to_thread(_spent, url, *command) for url in (few_url, many_url)]
        value = f"{many.seconds:.1f} s, {many.megabytes:.0f} MB (10,000 rows: {few.megabytes:.0f} MB)"
        met = many.megabytes <= few.megabytes + 10
        row(f"audit {' '.join(command[:3])}", value, "at most 10 MB more", met=met)


async def appending(name: str, database_url: str, each: int) -> None:
    """Compare appends with the chain, one at a time and by 32 in parallel, with the same without a chain."""
    async with _appendable(load_url(database_url)) as (database, chained, bare):
        title(f"Appending to the audit trail on {name}, with the chain and without")
        await _alternately(database, chained, bare, each)
        ours = await _parallel(database, chained, 32, each // 10)
        theirs = await _parallel(database, bare, 32, each // 10)
    p99, bare_p99 = (percentile(load.seconds, 99) for load in (ours, theirs))
    row(
        "32 writers, 99th percentile",
        f"{p99 * 1e3:.1f} ms (without: {bare_p99 * 1e3:.1f} ms)",
        "below 50 ms",
        met=p99 < 0.05,
    )
    row("32 writers, turned away", f"{ours.refused} (without: {theirs.refused})", "none", met=not ours.refused)


async def _alternately(database: Database, chained: "Append", bare: "Append", each: int) -> None:
    """Take turns, so that both see the same machine."""
    taken: dict[Append, list[float]] = {chained: [], bare: []}
    for _ in range(each):
        for work in (chained, bare):
            began = time.perf_counter()
            await database.write(work)
            taken[work].append(time.perf_counter() - began)
    ours, theirs = 1 / median(taken[chained]), 1 / median(taken[bare])
    value = f"{ours:.0f}/s / {theirs:.0f}/s = {ours / theirs:.2f}"
    row("one writer, rate with the chain / without", value, "at least 0.6", met=ours / theirs >= 0.6)


async def _parallel(database: Database, work: "Append", writers: int, each: int) -> Appends:
    taken: list[float] = []
    refused = 0

    async def writes() -> None:
        nonlocal refused
        for _ in range(each):
            began = time.perf_counter()
            try:
                await database.write(work)
            except DatabaseUnavailable:
                refused += 1
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(writes() for _ in range(writers)))
    return Appends(taken, refused)


Append = Callable[[Connection], None]


@asynccontextmanager
async def _appendable(url: URL) -> AsyncIterator[tuple[Database, Append, Append]]:
    """Open a database with the trail, and the same table without seal, lock and head."""
    await asyncio.to_thread(migrate, url)
    bare = _without_chain()
    with transaction(url) as connection:
        bare.create(connection)
    event = Event(
        Action.REQUESTED, ALICE, Organization("acme"), GroupName("payments"), RotationId("r1"), {"reason": "why"}
    )
    plain = insert(bare).values(at=database_now())
    columns = {
        "action": str(event.action), "team_id": ALICE.team_id, "user_id": ALICE.user_id, "organization": "acme",
        "group": event.group, "rotation_id": event.rotation_id, "detail": dict(event.detail), "delivery": None,
    }  # fmt: skip
    database = open_database(url)
    try:
        yield (
            database,
            lambda connection: record(connection, UNKEYED, event),
            lambda connection: (connection.execute(plain, columns), None)[1],
        )
    finally:
        await database.close()


def _without_chain() -> Table:
    """Describe the table as it would be without a chain, with all its indexes; the database numbers its rows."""
    key = Column("seq", BigInteger().with_variant(Integer(), "sqlite"), Identity(), primary_key=True)
    kept = [column for column in audit_events.c if column.name not in {"seq", "prev_hash", "hash"}]
    table = Table(
        "bare_events", MetaData(), key, *(Column(each.name, each.type, nullable=each.nullable) for each in kept)
    )
    for index in audit_events.indexes:
        name = str(index.name).replace("audit", "bare")
        Index(name, *(table.c[column.name] for column in index.columns), **index.dialect_kwargs)
    Index("uq_bare_events_delivery", table.c.delivery, unique=True)
    return table


def _fill(url: URL, rows: int) -> None:
    migrate(url)
    with transaction(url) as connection:
        fill(connection, sealed(events(1, rows)))


def _in_turn(url: URL, rounds: int) -> tuple[list[float], list[float]]:
    ours, bare = [], []
    with open_trail(url) as reading:
        driver: Any = reading._connection.connection.dbapi_connection
        for _ in range(rounds):
            bare.append(_timed(lambda: _hashed(_bare(driver))))
            ours.append(_timed(lambda: _sound(verify(reading.rows(), Terms(UNKEYED)).finding)))
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


def _sound(finding: object) -> None:
    assert finding is None


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
