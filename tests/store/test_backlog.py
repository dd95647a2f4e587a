"""What waits is counted in one bounded statement."""

from sqlalchemy import Connection

from bot.models import Organization, Rotation, State
from bot.ports import Backlog
from bot.store.backlog import _BACKLOG, SqlBacklog
from tests.store import shell
from tests.store.conftest import ACME, Store


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

    assert (seen.requested, seen.rotating, seen.unresolved, seen.errands) == (2, 1, 2, 7)
    assert 0 <= seen.oldest_seconds < 60
    assert others == Backlog(0, 0, 0, 0, 0.0)


async def test_nothing_is_counted_by_reading_every_rotation(store: Store) -> None:
    def plan(connection: Connection) -> str:
        query = _BACKLOG.params(ours="acme")
        sql = str(query.compile(connection, compile_kwargs={"literal_binds": True})).replace("%", "%%")
        if connection.dialect.name == "sqlite":
            return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql.replace('%%', '%')}").all())
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # its choice for tables as small as a test's
        return str(connection.exec_driver_sql(f"EXPLAIN {sql}").all())

    steps = await store.database.write(plan)

    assert steps.count("ix_rotations_state") == 3
    assert "SCAN rotations" not in steps
    assert "Seq Scan on rotations" not in steps


async def _ended(store: Store, group: str, state: State) -> Rotation:
    rotation = await store.request(group)
    await store.claim(rotation, await store.grant(f"{group}*"))
    ended = await store.move(rotation, State.ROTATING, state)
    assert ended is not None
    return ended
