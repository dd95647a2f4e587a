"""Law 6 and F32: the database itself keeps history as it was written, whoever is connected to it."""

import pytest
from sqlalchemy.exc import IntegrityError

from bot.domain.events import Action, Event
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store

ROTATION = (
    'id, organization, "group", team_id, user_id, channel_id, reason, state, requested_at, expires_at, '
    "started_at, lease_until, ended_at, claim, detail"
)
EVENT = "at, action, team_id, user_id, organization, detail, delivery, prev_hash, hash"

COLUMNS = {"event": EVENT, "rotation": ROTATION, "new": ROTATION.replace("id", "'new'", 1)}

EVERYWHERE = (
    "UPDATE audit_events SET user_id = 'U0NOBODY'",
    "UPDATE audit_events SET seq = seq + 100",
    "DELETE FROM audit_events",
    "DELETE FROM audit_events WHERE seq = (SELECT max(seq) FROM audit_events)",
    (
        "INSERT INTO audit_events (seq, {event}) SELECT seq, {event} FROM audit_events WHERE seq = 1 "
        "ON CONFLICT (seq) DO UPDATE SET user_id = 'U0NOBODY'"
    ),
    "DELETE FROM allowlist",
    "UPDATE allowlist SET pattern = 'prod-*' WHERE id = 1",
    "UPDATE allowlist SET revoked_at = NULL WHERE id = 1",
    "UPDATE allowlist SET revoked_by_user = 'U0NOBODY' WHERE id = 1",
    "UPDATE allowlist SET revoked_by_user = 'U0NOBODY' WHERE id = 2",
    "UPDATE allowlist SET user_id = 'U0MALLORY', revoked_at = granted_at WHERE id = 2",
    "DELETE FROM outbox; DELETE FROM rotations",
    "DELETE FROM rotations WHERE state = 'requested'",
    "UPDATE rotations SET user_id = 'U0NOBODY'",
    "UPDATE rotations SET reason = 'nothing'",
    "UPDATE rotations SET expires_at = '9999-01-01T00:00:00.000000Z' WHERE state = 'requested'",
    "UPDATE rotations SET state = 'succeeded' WHERE state = 'requested'",
    "UPDATE rotations SET state = 'requested', lease_until = NULL WHERE state = 'rotating'",
    "UPDATE rotations SET lease_until = '9999-01-01T00:00:00.000000Z' WHERE state = 'rotating'",
    "UPDATE rotations SET started_at = requested_at, claim = 'mine' WHERE state = 'rotating'",
    "UPDATE rotations SET detail = '{{\"explanation\": \"Turso said so.\"}}' WHERE state = 'requested'",
    ("INSERT INTO rotations ({rotation}) SELECT {new} FROM rotations WHERE state = 'rotating'"),
    ("INSERT INTO audit_events (seq, {event}) SELECT 9223372036854775807, {event} FROM audit_events WHERE seq = 1"),
    (
        "INSERT INTO audit_events (seq, {event}) SELECT (SELECT max(seq) + 1 FROM audit_events), {event} "
        "FROM audit_events WHERE seq = 1"
    ),
)
POSTGRESQL = (
    "TRUNCATE audit_events",
    "TRUNCATE allowlist",
    "TRUNCATE rotations CASCADE",
    "SET session_replication_role = replica; DELETE FROM audit_events",
    "WITH gone AS (DELETE FROM audit_events RETURNING seq) SELECT count(*) FROM gone",
)
SQLITE = (
    "INSERT OR REPLACE INTO audit_events (seq, {event}) SELECT seq, {event} FROM audit_events WHERE seq = 1",
    (
        "REPLACE INTO audit_events (seq, {event}) SELECT (SELECT max(seq) + 1 FROM audit_events), {event} "
        "FROM audit_events WHERE delivery = 'd1'"
    ),
    "INSERT INTO audit_events (seq, {event}) SELECT 1000, {event} FROM audit_events WHERE seq = 1",
    "INSERT INTO audit_events ({event}) SELECT {event} FROM audit_events WHERE seq = 1",
    "UPDATE OR REPLACE audit_events SET seq = 2 WHERE seq = 1",
    "REPLACE INTO allowlist SELECT * FROM allowlist WHERE id = 1",
    "REPLACE INTO rotations ({rotation}) SELECT {rotation} FROM rotations WHERE state = 'requested'",
    "REPLACE INTO rotations (rowid, {rotation}) SELECT rowid, {new} FROM rotations WHERE state = 'requested'",
    "REPLACE INTO rotations ({rotation}) SELECT {new} FROM rotations WHERE state = 'rotating'",
    "UPDATE OR REPLACE rotations SET state = 'rotating', lease_until = expires_at WHERE state = 'requested'",
    "UPDATE OR REPLACE rotations SET id = (SELECT id FROM rotations WHERE state = 'rotating')",
    "UPDATE OR REPLACE rotations SET rowid = rowid + 1",
)
# The triggers' own words: being refused by some other constraint would prove nothing.
REFUSAL = (
    "append-only|a grant never changes|a rotation is never deleted|only moves forward|another rotation of the group"
)
TABLES = ("audit_events", "allowlist", "rotations")


async def _history(store: Store) -> None:
    """Leave a revoked grant, a grant in force, a rotation under way, a request for the same group, and a refusal."""
    await store.grant()
    await store.grants.revoke(ALICE, None, Event(Action.REVOKED, ALICE, ACME))
    await store.claim(await store.request(), await store.grant())
    await store.request()
    await store.trail.append(Event(Action.DENIED, ALICE, ACME, delivery="d1"))


async def _everything(store: Store) -> list[list[tuple[object, ...]]]:
    return [await shell.rows(store.database, f"SELECT * FROM {table} ORDER BY 1") for table in TABLES]  # noqa: S608 - names above


async def _refused(store: Store, statement: str) -> None:
    await _history(store)
    before = await _everything(store)

    with pytest.raises(IntegrityError, match=REFUSAL):
        shell.run(store.url, *statement.format_map(COLUMNS).split("; "))

    assert await _everything(store) == before


@pytest.mark.parametrize("statement", EVERYWHERE)
async def test_history_cannot_be_changed(store: Store, statement: str) -> None:
    await _refused(store, statement)


@pytest.mark.parametrize("statement", POSTGRESQL)
@pytest.mark.databases("postgresql")
async def test_history_cannot_be_emptied_in_postgresql(store: Store, statement: str) -> None:
    await _refused(store, statement)


@pytest.mark.parametrize("statement", SQLITE)
@pytest.mark.databases("sqlite")
async def test_history_cannot_be_replaced_in_sqlite(store: Store, statement: str) -> None:
    await _refused(store, statement)


async def test_the_way_the_bot_writes_stays_open(store: Store) -> None:
    await _history(store)

    assert await shell.trail_of(store.database) == [
        "allowlist.granted", "allowlist.revoked", "rotation.requested", "allowlist.granted",
        "rotation.started", "rotation.requested", "rotation.denied",
    ]  # fmt: skip
