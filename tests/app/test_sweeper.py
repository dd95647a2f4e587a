"""What the sweeper tells of: once in the log, and for as long as it lasts in what it knows."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
from structlog.testing import capture_logs

from bot.app.health import Bot
from bot.app.instrument import Telemetry
from bot.app.sweeper import Sweeper
from bot.domain.errors import CommitUnconfirmed, DatabaseError, DatabaseReadOnly, DatabaseUnavailable, SchemaMismatch
from bot.domain.events import Action, Event
from bot.domain.models import Rotation
from bot.domain.recording import OutcomeRecorder
from bot.ops.metrics import Metrics
from bot.ops.tracing import Tracing
from bot.slack.notifier import Notifier
from bot.store.driver_errors import NO_ANSWER, UNCONFIRMED
from bot.store.stores import Stores
from bot.trail.chain import UNKEYED, Seal
from tests.store import shell
from tests.store.attack import attack
from tests.store.conftest import ACME, OPERATOR, Store

LOCKED = DatabaseUnavailable("The database is locked by another session.")


@pytest.fixture
def now() -> list[float]:
    """Give the time by the sweeper's clock; a test turns it."""
    return [0.0]


@pytest.fixture
def sweeper(store: Store, now: list[float]) -> Sweeper:
    """Build a sweeper that has nobody to notify."""
    stores, nobody = Stores(store.database, UNKEYED, ACME), cast("Notifier", None)
    return Sweeper(OutcomeRecorder(store.rotations), nobody, stores, Metrics("test"), clock=lambda: now[0])


@pytest.mark.fault("F53")
async def test_a_failure_is_logged_once_and_known_until_it_is_gone(
    sweeper: Sweeper, store: Store, now: list[float]
) -> None:
    bad, known = await store.request(seconds=-1), []
    with capture_logs() as logs:
        for detail in ("[]", "[]", "{}"):
            attack(store.url, f"UPDATE rotations SET detail = '{detail}' WHERE id = '{bad.id}'")  # noqa: S608 - the owner's
            await sweeper.try_sweep()
            known.append(sweeper.failures.named())
            now[0] += 1

    why = f"Rotation {bad.id} cannot be read: its detail is not a JSON object."
    assert known == [[why], [why], []]
    assert [(line["event"], line["what"]) for line in logs] == [
        ("sweep failed", f"Rotation {bad.id}"),
        ("sweep works again", f"Rotation {bad.id}"),
    ]
    assert sweeper.healthy


@pytest.mark.fault("F53")
async def test_a_bug_of_the_sweep_itself_is_logged_once_with_its_traceback(sweeper: Sweeper, now: list[float]) -> None:
    sweeper._stores = cast("Stores", None)
    with capture_logs() as logs:
        for _ in range(3):
            await sweeper.try_sweep()
            now[0] += 1

    bug = "The step sweep: a bug (AttributeError). The log has the traceback."
    assert sweeper.failures.named() == [bug]
    assert [(line["why"], type(line["exc_info"])) for line in logs] == [(bug, AttributeError)]


@pytest.mark.fault("F53")
async def test_a_grant_that_cannot_be_read_is_named_within_a_quarter_of_a_minute(
    sweeper: Sweeper, store: Store, now: list[float]
) -> None:
    grant, known = await store.grant(), []
    await sweeper.sweep()
    never = {"sqlite": "never", "postgresql": "infinity"}[store.url.get_backend_name()]
    attack(store.url, f"UPDATE allowlist SET until = '{never}' WHERE id = {grant}")  # noqa: S608 - the owner's
    for _ in range(16):
        now[0] += 1
        await sweeper.sweep()
        known.append(len(sweeper.failures))

    assert known == [0] * 14 + [1] * 2


@pytest.mark.fault("F55")
@pytest.mark.databases("postgresql")
async def test_a_trail_that_lost_rows_in_a_failover_is_told_of(
    sweeper: Sweeper, store: Store, now: list[float]
) -> None:
    await store.request("one")
    await store.request("two")
    head = await store.trail.head()
    await sweeper.sweep()
    attack(store.url, "DELETE FROM audit_events WHERE seq = 2")
    for _ in range(2):
        now[0] += 15
        await sweeper.sweep()
    await store.request("three")

    (told,) = sweeper.failures.named()
    assert told.startswith("The audit trail no longer holds a row that this process saw: the database failed over or ")
    assert told.endswith(f"turso-rotate audit verify --anchor {head}")


@pytest.mark.fault("F57")
async def test_a_key_that_was_changed_meanwhile_shows_within_a_quarter_of_a_minute_and_stays(
    sweeper: Sweeper, store: Store, now: list[float]
) -> None:
    await sweeper.try_sweep()
    changed = Event(
        Action.REKEYED, OPERATOR, ACME, detail={"fingerprint": Seal(b"another pony staple battery").fingerprint}
    )
    await store.trail.append(changed)
    ready = []
    for _ in range(17):
        now[0] += 1
        await sweeper.try_sweep()
        ready.append(sweeper.ready)

    assert ready == [True] * 14 + [False] * 3


@pytest.mark.fault("F59")
async def test_while_a_guard_is_broken_the_process_is_not_ready(sweeper: Sweeper, store: Store) -> None:
    intruder = {
        "sqlite": "CREATE TRIGGER b BEFORE DELETE ON audit_events BEGIN SELECT 1; END",
        "postgresql": "CREATE RULE b AS ON DELETE TO audit_events DO ALSO NOTHING",
    }[store.url.get_backend_name()]
    gone = {"sqlite": "DROP TRIGGER b", "postgresql": "DROP RULE b ON audit_events"}[store.url.get_backend_name()]
    ready = []
    for statements in ((), (intruder,), (gone,)):
        await asyncio.to_thread(shell.run, store.url, *statements)
        await sweeper.try_sweep()
        ready.append((sweeper.ready, sweeper.healthy))

    assert ready == [(True, True), (False, True), (True, True)]


class _Unlucky:
    """A database that fails each sweep, or each delivery, as it is told."""

    def __init__(self) -> None:
        self.error: DatabaseError | None = None

    async def send_due(self, _: object) -> None:
        self.fail()

    async def tidy(self, _: object) -> AsyncIterator[Rotation]:
        self.fail()
        for rotation in list[Rotation]():
            yield rotation

    def fail(self) -> None:
        if self.error is not None:
            raise self.error


async def test_notifications_that_the_database_holds_up_alone_are_told_of(sweeper: Sweeper, now: list[float]) -> None:
    outbox, told = _Unlucky(), []
    sweeper._notifier = cast("Notifier", outbox)
    for error in (None, LOCKED, LOCKED, None, None):
        outbox.error = error
        await sweeper.try_notify()
        await sweeper.try_sweep()
        told.append(sweeper.failures.named())
        now[0] += 6

    words = ["Notifications cannot be delivered: The database is locked by another session."]
    assert told == [[], words, words, [], []]
    assert sweeper.healthy


async def test_notifications_that_wait_with_everything_else_are_not_told_of(sweeper: Sweeper, now: list[float]) -> None:
    outbox = _Unlucky()
    sweeper._notifier = cast("Notifier", outbox)
    sweeper._recorder = cast("OutcomeRecorder", outbox)
    for error in (None, LOCKED, None):
        outbox.error = error
        await sweeper.try_notify()
        now[0] += 1
        await sweeper.try_sweep()
        assert sweeper.failures.named() == []


async def test_why_the_database_is_away_is_logged_again_only_when_the_words_change(sweeper: Sweeper) -> None:
    failures = [DatabaseUnavailable(NO_ANSWER), CommitUnconfirmed(UNCONFIRMED), LOCKED, LOCKED, None, None]
    with capture_logs() as logs:
        for failure in failures:
            sweeper._note(failure)

    assert [(line["event"], line.get("why")) for line in logs] == [
        ("database unavailable", NO_ANSWER),
        ("database unavailable", str(LOCKED)),
        ("database available again", None),
    ]


async def test_a_bot_is_not_ready_while_its_sweep_finds_other_tables(sweeper: Sweeper, store: Store) -> None:
    recorder, telemetry = OutcomeRecorder(store.rotations), Telemetry(Metrics("test"), Tracing())
    bot, found = Bot(recorder, sweeper, store.database, telemetry, UNKEYED), []
    for failure in (SchemaMismatch("Other tables."), DatabaseReadOnly("No right."), LOCKED, None):
        sweeper._note(failure)
        found.append((await bot.problems(), bot.warnings()))

    assert found == [(["Other tables."], []), (["No right."], []), ([], [str(LOCKED)]), ([], [])]
