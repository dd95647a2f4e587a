"""What the sweeper tells of: once in the log, and for as long as it lasts in what it knows."""

import asyncio
from typing import cast

import pytest
from structlog.testing import capture_logs

from bot.app.sweeper import Sweeper
from bot.domain.events import Action, Event
from bot.domain.recording import OutcomeRecorder
from bot.ops.metrics import Metrics
from bot.slack.notifier import Notifier
from bot.store.stores import Stores
from bot.trail.chain import UNKEYED, Seal
from tests.store import shell
from tests.store.attack import attack
from tests.store.conftest import ACME, OPERATOR, Store


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
