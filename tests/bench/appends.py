"""What appending to the audit trail costs with the hash chain and without."""

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
from tests.bench.report import percentile, ratio, row, title
from tests.databases import load_url

ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
WRITERS = 32
Append = Callable[[Connection], None]


@dataclass(frozen=True)
class Appends:
    """What parallel writers saw; nothing is tried again."""

    seconds: Sequence[float]
    """From the call to the commit or the refusal."""
    refused: int


async def appends(name: str, database_url: str, each: int) -> None:
    """Append one at a time and from 32 writers, with the chain and without."""
    async with _appendable(load_url(database_url)) as (database, chained, unchained):
        title(f"Appending to the audit trail on {name}, with the chain / without")
        one, unchained_one = await _alternately(database, chained, unchained, each)
        many = await _parallel(database, chained, each // 10)
        unchained_many = await _parallel(database, unchained, each // 10)
    share = unchained_one / one
    value = f"{1 / one:.0f}/s / {1 / unchained_one:.0f}/s = {share:.2f}"
    row("one writer, appends a second", value, "at least 0.6", met=share >= 0.6)
    p99 = percentile(many.seconds, 99)
    ratio(f"{WRITERS} writers, p99", p99, percentile(unchained_many.seconds, 99))
    # The chain puts appends in a queue: nobody should wait for much more than one turn of everybody.
    ratio(f"{WRITERS} writers, p99 / {WRITERS} appends of one writer", p99, WRITERS * one, 3)
    value = f"{many.refused} (without: {unchained_many.refused})"
    row(f"{WRITERS} writers, refused", value, "none", met=not many.refused)


async def _alternately(database: Database, chained: Append, unchained: Append, each: int) -> tuple[float, float]:
    """Append in turn, so that both run under the same load; return the median seconds."""
    taken: dict[Append, list[float]] = {chained: [], unchained: []}
    for _ in range(each):
        for append, seconds in taken.items():
            began = time.perf_counter()
            await database.write(append)
            seconds.append(time.perf_counter() - began)
    return median(taken[chained]), median(taken[unchained])


async def _parallel(database: Database, append: Append, each: int) -> Appends:
    taken: list[float] = []
    refused = 0

    async def write() -> None:
        nonlocal refused
        for _ in range(each):
            began = time.perf_counter()
            try:
                await database.write(append)
            except DatabaseUnavailable:
                refused += 1
            taken.append(time.perf_counter() - began)

    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return Appends(taken, refused)


@asynccontextmanager
async def _appendable(url: URL) -> AsyncIterator[tuple[Database, Append, Append]]:
    """Open a database with the trail, and with the same table without hashes, lock and head."""
    await asyncio.to_thread(migrate, url)
    unchained = _without_chain()
    with exclusive_transaction(url) as connection:
        unchained.create(connection)
    event = Event(
        Action.REQUESTED, ALICE, Organization("acme"), GroupName("payments"), RotationId("r1"), {"reason": "why"}
    )
    plain = insert(unchained).values(at=database_now())
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
    """Describe the table without its hashes but with all its indexes; the database numbers its rows."""
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
