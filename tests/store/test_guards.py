"""Law 6 against who owns the tables: whatever is done to a guard of history is noticed, and named."""

import asyncio
from itertools import product

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from bot.domain.errors import Unguarded
from bot.domain.notifications import NotificationKind
from bot.domain.states import MOVES, State
from bot.store import guards, schema
from bot.store.guard_record import SqlGuards
from bot.store.migrations import exclusive_transaction
from bot.trail.chain import UNKEYED, Seal
from tests.store import shell
from tests.store.attack import unguarded
from tests.store.conftest import ACME, Store

pytestmark = pytest.mark.law(6)

_PASSES = "CREATE FUNCTION passes() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"
_DROPPED = "DROP TRIGGER audit_events_no_update"
_MADE = "CREATE TRIGGER audit_events_no_update BEFORE UPDATE"
_REFUSES = "FOR EACH ROW {when} EXECUTE FUNCTION turso_rotate_refuse('audit_events is append-only')"
_ALWAYS = "ALTER TABLE audit_events ENABLE ALWAYS TRIGGER audit_events_no_update"


def _anew(of: str = "", when: str = "") -> tuple[str, ...]:
    """Make the trigger anew under its own name, for some columns or on a condition."""
    made = f"{_MADE} {of} ON audit_events {_REFUSES.format(when=when)}"
    return f"{_DROPPED} ON audit_events", made, _ALWAYS


_INDEX = """CREATE UNIQUE INDEX uq_rotations_rotating ON rotations (organization, "group") WHERE state = 'rotating'"""
DEEDS = {
    "postgresql": {
        _anew("OF delivery"): "audit_events_no_update",
        _anew(when="WHEN (false)"): "audit_events_no_update",
        (f"{_DROPPED} ON audit_events",): "audit_events_no_update",
        (
            _PASSES,
            f"{_DROPPED} ON audit_events",
            f"{_MADE} ON audit_events FOR EACH ROW EXECUTE FUNCTION passes()",
            _ALWAYS,
        ): "audit_events_no_update",
        (
            f"{_DROPPED} ON audit_events",
            f"{_MADE} ON outbox {_REFUSES.format(when='')}",
        ): "audit_events_no_update",
        ("ALTER TABLE audit_events DISABLE TRIGGER audit_events_no_delete",): "audit_events_no_delete",
        ("ALTER TABLE audit_events ENABLE TRIGGER audit_events_no_delete",): "audit_events_no_delete",
        (_PASSES.replace("FUNCTION passes", "OR REPLACE FUNCTION turso_rotate_append"),): "turso_rotate_append",
        ("ALTER FUNCTION turso_rotate_append() SET session_replication_role = replica",): "turso_rotate_append",
        ("ALTER FUNCTION turso_rotate_take_turn() RESET ALL",): "turso_rotate_take_turn",
        ("DROP INDEX uq_rotations_rotating",): "uq_rotations_rotating",
        ("ALTER TABLE audit_events DROP CONSTRAINT uq_audit_events_delivery",): "uq_audit_events_delivery",
        (_PASSES, "CREATE TRIGGER b BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION passes()"): "b",
        ("CREATE RULE swallows AS ON INSERT TO audit_events DO INSTEAD NOTHING",): "swallows",
        ("ALTER TABLE rotations ENABLE ROW LEVEL SECURITY",): "rotations",
        ("ALTER TABLE audit_events SET UNLOGGED",): "audit_events",
        ("ALTER TABLE audit_events ADD CONSTRAINT none CHECK (action <> 'rotation.denied') NOT VALID",): "none",
        ("CREATE TABLE child () INHERITS (audit_events)",): "child",
        (
            _PASSES,
            "CREATE TRIGGER pk_rotations BEFORE UPDATE ON rotations FOR EACH ROW EXECUTE FUNCTION passes()",
        ): "pk_rotations",
        (_PASSES, "CREATE TRIGGER b BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION passes()"): "b",
    },
    "sqlite": {
        (_DROPPED, f"{_MADE} OF delivery ON audit_events BEGIN SELECT RAISE(ABORT, 'no'); END"): (
            "audit_events_no_update"
        ),
        (_DROPPED, f"{_MADE} ON audit_events WHEN 0 BEGIN SELECT RAISE(ABORT, 'no'); END"): "audit_events_no_update",
        (_DROPPED, f"{_MADE} ON audit_events BEGIN SELECT 1; END"): "audit_events_no_update",
        (_DROPPED, f"{_MADE} ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END"): "audit_events_no_update",
        (_DROPPED,): "audit_events_no_update",
        ("DROP INDEX uq_rotations_rotating",): "uq_rotations_rotating",
        ("CREATE TRIGGER b BEFORE INSERT ON audit_events BEGIN SELECT RAISE(IGNORE); END",): "b",
        ("CREATE TRIGGER b BEFORE INSERT ON Audit_Events BEGIN SELECT RAISE(IGNORE); END",): "b",
        (
            "DROP INDEX uq_rotations_rotating",
            "CREATE TRIGGER uq_rotations_rotating BEFORE UPDATE ON rotations BEGIN SELECT RAISE(IGNORE); END",
            _INDEX,
        ): "uq_rotations_rotating",
    },
}


SWALLOWS = {
    "postgresql": (
        "CREATE FUNCTION swallows() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$",
        "CREATE TRIGGER b BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION swallows()",
    ),
    "sqlite": ("CREATE TRIGGER b BEFORE INSERT ON audit_events BEGIN SELECT RAISE(IGNORE); END",),
}


async def test_every_guard_is_there_and_no_other(store: Store) -> None:
    found = await store.database.read(guards.guard_digests)

    assert found == guards.GUARDS[store.url.get_backend_name()]
    await schema.check_schema(store.database)


@pytest.mark.fault("F51")
async def test_whatever_is_done_to_a_guard_is_named(store: Store) -> None:
    def done(connection: Connection, deed: tuple[str, ...]) -> set[str]:
        with connection.begin_nested() as attempt:
            for statement in deed:
                connection.exec_driver_sql(statement)
            found = guards.broken_guards(connection)
            attempt.rollback()
        return found

    deeds = DEEDS[store.url.get_backend_name()]
    found = await store.database.write(lambda connection: {deed: done(connection, deed) for deed in deeds})

    assert found == {deed: {name} for deed, name in deeds.items()}


async def test_any_missing_guard_stops_the_bot(store: Store) -> None:
    on = " ON allowlist" if store.url.get_backend_name() == "postgresql" else ""
    shell.run(store.url, f"DROP TRIGGER allowlist_revoked_once{on}")

    with pytest.raises(Unguarded, match=r"missing, disabled, changed or added: allowlist_revoked_once\."):
        await schema.check_schema(store.database)


@pytest.mark.fault("F59")
async def test_without_its_guards_nothing_is_requested_or_claimed_and_what_runs_is_recorded(store: Store) -> None:
    grant = await store.grant()
    running = await store.claim(await store.request("one"), grant)
    asked = await store.request("two")
    assert running is not None
    shell.run(store.url, "DROP INDEX uq_rotations_rotating")

    with pytest.raises(Unguarded):
        await store.claim(asked, grant)
    with pytest.raises(Unguarded):
        await store.request("three")
    assert await store.move(running, State.ROTATING, State.SUCCEEDED, "c1") is not None
    assert await store.move(asked, State.REQUESTED, State.CANCELLED) is not None


@pytest.mark.databases("postgresql")
async def test_an_index_that_is_being_rebuilt_is_no_guard_that_was_added(store: Store) -> None:
    half_built = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'uq_rotations_rotating_ccnew'::regclass"
    copy = """CREATE UNIQUE INDEX uq_rotations_rotating_ccnew ON rotations (organization, "group")"""
    shell.run(store.url, copy, half_built)

    await schema.check_schema(store.database)


@pytest.mark.fault("F59")
async def test_a_forged_row_does_not_silence_the_alarm(store: Store) -> None:
    found = SqlGuards(store.database, Seal(b"a key that the forger does not have"), ACME)
    forger = SqlGuards(store.database, UNKEYED, ACME)
    await forger.note(["rotations_begin"])
    while await store.outbox.take(60) is not None:
        pass
    await found.note(["rotations_begin"])
    alarm = await store.outbox.take(60)

    assert alarm is not None
    assert (alarm.kind, alarm.subject) == (NotificationKind.ALARM, "rotations_begin")
    assert (await shell.trail_of(store.database)).count("guards.broken") == 2


async def test_an_event_that_the_database_drops_takes_its_change_with_it(store: Store) -> None:
    request = await store.request()
    shell.run(store.url, *SWALLOWS[store.url.get_backend_name()])

    with pytest.raises(Unguarded):
        await store.move(request, State.REQUESTED, State.CANCELLED)
    assert await store.rotations.get(request.id) == request


async def test_a_constraint_that_somebody_added_is_no_duplicate(store: Store) -> None:
    """Words that remind of the constraint on deliveries would be taken for a delivery that nobody needs to hear of."""
    request = await store.request()
    adds = {
        "postgresql": "ALTER TABLE audit_events ADD CONSTRAINT ck_delivery CHECK (action <> 'rotation.cancelled')",
        "sqlite": "CREATE TRIGGER b BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'no delivery today'); END",
    }
    shell.run(store.url, adds[store.url.get_backend_name()])

    with pytest.raises(Unguarded):
        await store.move(request, State.REQUESTED, State.CANCELLED)


async def test_the_database_lets_a_rotation_move_as_the_bot_does_and_in_no_other_way(store: Store) -> None:
    rotation = await store.request()

    def tried(connection: Connection, before: State, after: State) -> bool:
        with connection.begin_nested() as attempt:
            with unguarded(connection):
                connection.exec_driver_sql(_put(before))
            try:
                connection.exec_driver_sql(_put(after))
            except IntegrityError as error:
                assert "only moves forward" in str(error)  # noqa: PT017 - the other outcome counts too
                return False
            finally:
                attempt.rollback()
        return True

    def moves() -> set[tuple[State, State]]:
        pairs = [(before, after) for before, after in product(State, State) if before is not after]
        with exclusive_transaction(store.url) as connection:
            return {pair for pair in pairs if tried(connection, *pair)}

    assert rotation.state is State.REQUESTED
    assert await asyncio.to_thread(moves) == {(before, after) for before in MOVES for after in MOVES[before]}


def _put(state: State) -> str:
    lease = "expires_at" if state is State.ROTATING else "NULL"
    return f"UPDATE rotations SET state = '{state}', lease_until = {lease}"  # noqa: S608 - constants
