"""History: what the first page costs at 10^4 and at 10^6 rows."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from statistics import median

from sqlalchemy import Connection, text

from bot.audit import Filter
from bot.chain import UNKEYED
from bot.models import Action, GroupName, UserId
from bot.store.audit import SqlTrail
from bot.store.database import Database, open_database
from bot.store.migrations import migrate, transaction
from tests.store.conftest import load_url

START = datetime(2025, 1, 1, tzinfo=UTC)
FILTERS = {
    "all": Filter(),
    "a busy group": Filter(group=GroupName("group0")),
    "a retired group": Filter(group=GroupName("retired")),
    "an absent group": Filter(group=GroupName("absent")),
    "a busy person": Filter(user_id=UserId("U0")),
    "an absent person": Filter(user_id=UserId("UNOBODY")),
    "an action": Filter(action=Action.REQUESTED),
    "an absent action": Filter(action=Action.EXPIRED),
    "an hour": Filter(since=START + timedelta(minutes=10), until=START + timedelta(minutes=70)),
}
_ROW = (
    'INSERT INTO audit_events (seq, at, action, team_id, user_id, organization, "group", rotation_id, detail) VALUES '
    "(:seq, :at, :action, 'T0', :user, 'acme', :group, :rotation, '{}')"
)


def fill(connection: Connection, first: int, last: int) -> None:
    """Insert the events `first..last`, one a second, quickly."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_POSTGRES), {"first": first, "last": last, "start": START})
        return
    rows = (_row(seq) for seq in range(first, last + 1))
    connection.connection.executemany(_ROW, rows)  # the driver's own, for speed


def _row(seq: int) -> dict[str, object]:
    return {
        "seq": seq,
        "at": (START + timedelta(seconds=seq)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "action": "rotation.requested" if seq % 3 else "rotation.succeeded",
        "user": f"U{seq % 50}",
        "group": "retired" if seq < 10_000 and seq % 100 == 1 else f"group{seq % 20}",
        "rotation": f"r{seq // 3}",
    }


_POSTGRES = """
INSERT INTO audit_events (seq, at, action, team_id, user_id, organization, "group", rotation_id, detail)
SELECT seq, CAST(:start AS timestamptz) + seq * interval '1 second',
       CASE WHEN seq % 3 = 0 THEN 'rotation.succeeded' ELSE 'rotation.requested' END,
       'T0', 'U' || seq % 50, 'acme',
       CASE WHEN seq < 10000 AND seq % 100 = 1 THEN 'retired' ELSE 'group' || seq % 20 END,
       'r' || seq / 3, '{}'
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) seq
"""


async def first_pages(few: Database, many: Database, rounds: int = 60) -> dict[str, tuple[float, float]]:
    """Read the first page of both in turn, so that both see the same machine; median seconds for each filter."""
    trails = SqlTrail(few, UNKEYED), SqlTrail(many, UNKEYED)
    taken: dict[str, tuple[float, float]] = {}
    for name, wanted in FILTERS.items():
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for trail, seen in zip(trails, times, strict=True):
                began = time.perf_counter()
                await trail.page(wanted, limit=50)
                seen.append(time.perf_counter() - began)
        taken[name] = median(times[0]), median(times[1])
    return taken


@asynccontextmanager
async def filled(database_url: str, rows: int) -> AsyncIterator[Database]:
    """Open a database with so many events, inserted past the bot, whose limits of time would stop that."""
    url = load_url(database_url)

    def work() -> None:
        with transaction(url) as connection:
            fill(connection, 1, rows)
            connection.execute(text("ANALYZE audit_events"))

    await asyncio.to_thread(migrate, url)
    await asyncio.to_thread(work)
    database = open_database(url)
    try:
        yield database
    finally:
        await database.close()
