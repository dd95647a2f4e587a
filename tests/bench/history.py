"""History: what the first page costs at 10^4 and at 10^6 rows."""

import time
from datetime import UTC, datetime, timedelta
from statistics import median

from sqlalchemy import Connection, text

from bot.audit import Filter
from bot.models import Action, GroupName, UserId
from bot.store.audit import SqlTrail
from bot.store.database import Database

START = datetime(2025, 1, 1, tzinfo=UTC)
FILTERS = {
    "all": Filter(),
    "a busy group": Filter(group=GroupName("group0")),
    "a rare group": Filter(group=GroupName("rare")),
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
        "group": "rare" if seq % 5000 == 1 else f"group{seq % 20}",
        "rotation": f"r{seq // 3}",
    }


_POSTGRES = """
INSERT INTO audit_events (seq, at, action, team_id, user_id, organization, "group", rotation_id, detail)
SELECT seq, CAST(:start AS timestamptz) + seq * interval '1 second',
       CASE WHEN seq % 3 = 0 THEN 'rotation.succeeded' ELSE 'rotation.requested' END,
       'T0', 'U' || seq % 50, 'acme', CASE WHEN seq % 5000 = 1 THEN 'rare' ELSE 'group' || seq % 20 END,
       'r' || seq / 3, '{}'
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) seq
"""


async def first_pages(database: Database, rounds: int = 30) -> dict[str, float]:
    """Read the first page for each filter; median seconds."""
    trail = SqlTrail(database)
    taken: dict[str, float] = {}
    for name, wanted in FILTERS.items():
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            await trail.page(wanted, limit=50)
            times.append(time.perf_counter() - began)
        taken[name] = median(times)
    return taken
