"""What waits is counted in one bounded statement."""

import asyncio
import re

from sqlalchemy import Connection

from bot.domain.models import Organization, Rotation
from bot.domain.notifications import Backlog
from bot.domain.states import State
from bot.store.backlog import _BACKLOG, SqlBacklog
from tests.store import shell
from tests.store.attack import attack
from tests.store.conftest import ACME, Store

_LONG_HISTORY = """
WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 20000)
INSERT INTO rotations
  (id, organization, "group", team_id, user_id, channel_id, reason, state, requested_at, expires_at, detail)
SELECT 'old' || number, 'acme', 'payments', 'T0', 'U0', 'C0', '', 'succeeded',
  '2025-01-01T00:00:00.000000Z', '2025-01-01T00:00:00.000000Z', '{}' FROM numbers
"""


async def test_what_waits_is_counted_for_one_organization(store: Store) -> None:
    grant = await store.grant()
    for group in ("one", "two"):
        await store.request(group)
    await store.claim(await store.request("three"), grant)
    for group in ("four", "five"):
        await _ended(store, group, State.UNKNOWN)
    resolved = await _ended(store, "six", State.UNKNOWN)
    await _ended(store, "seven", State.SUCCEEDED)
    await store.outbox.done((await store.outbox.take_for(resolved.id, 60))[0])
    shell.run(store.url, f"UPDATE rotations SET resolved_as = 'failed' WHERE id = '{resolved.id}'")  # noqa: S608 - ours
    seen = await SqlBacklog(store.database, ACME).read()
    others = await SqlBacklog(store.database, Organization("other")).read()

    assert (seen.requested, seen.rotating, seen.unresolved, seen.notifications) == (2, 1, 2, 7)
    assert 0 <= seen.oldest_seconds < 60
    assert others == Backlog(0, 0, 0, 0, 0.0)


async def test_nothing_is_counted_by_reading_every_rotation(store: Store) -> None:
    def plan(connection: Connection) -> str:
        query = _BACKLOG.params(organization="acme")
        sql = str(query.compile(connection, compile_kwargs={"literal_binds": True}))
        if connection.dialect.name == "sqlite":
            return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all())
        return str(connection.exec_driver_sql(f"EXPLAIN {sql.replace('%', '%%')}").all())

    # A planner chooses by what it has counted, and so any index where there is nothing.
    await asyncio.to_thread(attack, store.url, _LONG_HISTORY, "ANALYZE rotations")
    steps = await store.database.read(plan)

    assert len(re.findall(r"ix_rotations_(?:\w+_)?state|ix_rotations_open|uq_rotations_rotating", steps)) == 2
    assert steps.count("ix_rotations_unresolved") == 1
    assert "'SCAN rotations'" not in steps
    assert not re.search(r"Seq Scan on rotations|ix_rotations_group\w*state", steps)


async def _ended(store: Store, group: str, state: State) -> Rotation:
    rotation = await store.request(group)
    await store.claim(rotation, await store.grant(f"{group}*"))
    ended = await store.move(rotation, State.ROTATING, state)
    assert ended is not None
    return ended
