"""The chain of hashes: what appending costs beside the same without a chain."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from sqlalchemy import URL, BigInteger, Column, Connection, Identity, Index, Integer, MetaData, Table, insert

from bot.domain.errors import DatabaseUnavailable
from bot.domain.events import Action, Event
from bot.domain.models import Actor, GroupName, Organization, RotationId, TeamId, UserId
from bot.store.database import Database, open_database
from bot.store.migrations import exclusive_transaction, migrate
from bot.store.sqltypes import database_now
from bot.store.tables import audit_events
from bot.store.trail import record
from bot.trail.chain import UNKEYED
from tests.bench.report import percentile, row, title
from tests.databases import load_url

ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))


@dataclass(frozen=True)
class Appends:
    """What writers in parallel saw; nothing is tried again."""

    seconds: Sequence[float]
    """From the call to the commit, or to being turned away."""
    refused: int


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
    with exclusive_transaction(url) as connection:
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
