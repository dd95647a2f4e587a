"""Law 2 in the database: who may move a rotation, and that only one does."""

import asyncio
from itertools import product

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from bot.domain.events import RECORDED_AS, Action, Event
from bot.domain.models import Rotation
from bot.domain.notifications import NotificationKind
from bot.domain.ports import Superseded
from bot.domain.states import MOVES, State
from bot.store.sqltypes import database_now
from bot.store.tables import rotations
from tests.store.attack import unguarded
from tests.store.conftest import ACME, ALICE, BOB, OPERATOR, Store

LEGAL = [(expected, to) for expected in State for to in sorted(MOVES[expected]) if to is not State.ROTATING]


@pytest.mark.law(2)
async def test_of_twenty_claims_at_once_one_wins(store: Store) -> None:
    grant, rotation = await store.grant(), await store.request()
    claims = await asyncio.gather(*(store.claim(rotation, grant, claim=f"c{number}") for number in range(20)))

    assert sum(claimed is not None for claimed in claims) == 1
    assert await store.actions(rotation) == ["rotation.requested", "rotation.started"]


@pytest.mark.fault("F21")
async def test_a_group_is_rotated_by_one_at_a_time(store: Store) -> None:
    grant, first, second = await store.grant(), await store.request(), await store.request(by=BOB)
    await store.claim(first, grant)
    busy = await store.try_claim(second, grant)
    assert isinstance(busy, Superseded)
    await store.move(first, State.ROTATING, State.FAILED, "c1")
    claimed = await store.claim(busy.new.rotation, grant)

    assert busy.new.world.last is not None
    assert busy.new.world.last.id == first.id
    assert claimed is not None


@pytest.mark.fault("F21")
async def test_the_database_itself_refuses_a_second_rotation_of_a_group(store: Store) -> None:
    await _put(store, await store.request(), State.ROTATING)

    with pytest.raises(IntegrityError):
        await _put(store, await store.request(by=BOB), State.ROTATING)
    await _put(store, await store.request("other"), State.ROTATING)


@pytest.mark.fault("F18")
async def test_a_revoked_grant_claims_nothing(store: Store) -> None:
    grant, rotation = await store.grant(), await store.request()
    await store.grants.revoke(ALICE, None, Event(Action.REVOKED, OPERATOR, ACME))

    assert await store.claim(rotation, grant) is None
    assert await store.actions(rotation) == ["rotation.requested"]


@pytest.mark.fault("F17")
async def test_an_expired_request_is_not_claimed_by_the_databases_clock(store: Store) -> None:
    grant, rotation = await store.grant(), await store.request(seconds=0)

    assert await store.claim(rotation, grant) is None
    assert [overdue.id for overdue in await store.rotations.overdue()] == [rotation.id]


async def test_a_lease_that_ran_out_is_overdue(store: Store) -> None:
    grant, held, lost = await store.grant(), await store.request("held"), await store.request("lost")
    await store.claim(held, grant)
    await store.claim(lost, grant, lease=-1)

    assert [overdue.id for overdue in await store.rotations.overdue()] == [lost.id]


@pytest.mark.parametrize(("expected", "to"), LEGAL)
async def test_a_legal_move_is_taken_once(expected: State, to: State, store: Store) -> None:
    rotation = await store.request()
    await _put(store, rotation, expected)
    moved = await store.move(rotation, expected, to)

    assert moved is not None
    assert moved.state is to
    assert await store.actions(rotation) == ["rotation.requested", f"rotation.{to}"]
    assert (await store.move(rotation, expected, to)) is None


async def test_no_other_move_is_taken(store: Store) -> None:
    rotation = await store.request()
    for expected, to in product(State, RECORDED_AS):
        if (expected, to) not in LEGAL:
            await _put(store, rotation, expected)
            with pytest.raises(AssertionError, match=f"{expected} → {to} is not a legal move"):
                await store.move(rotation, expected, to)
            kept = await store.rotations.get(rotation.id)
            assert kept is not None
            assert kept.state is expected

    assert await store.actions(rotation) == ["rotation.requested"]


async def test_only_the_holder_of_the_claim_ends_it(store: Store) -> None:
    grant, rotation = await store.grant(), await store.request()
    await store.claim(rotation, grant, claim="mine")

    assert await store.move(rotation, State.ROTATING, State.SUCCEEDED, "theirs") is None
    assert await store.move(rotation, State.ROTATING, State.SUCCEEDED, "mine") is not None


async def test_an_end_leaves_word_for_the_people(store: Store) -> None:
    grant, rotation = await store.grant(), await store.request()
    await store.claim(rotation, grant)
    await store.move(rotation, State.ROTATING, State.FAILED, "c1")

    taken = await store.outbox.take_for(rotation.id, 60)
    assert [notification.kind for notification in taken] == [NotificationKind.CARD, NotificationKind.ANNOUNCEMENT]


async def test_an_errand_is_taken_by_one_at_a_time(store: Store) -> None:
    rotation = await store.request()
    await store.move(rotation, State.REQUESTED, State.CANCELLED)
    await store.database.write(lambda connection: connection.execute(text("UPDATE outbox SET due_at = created_at")))
    taken = await asyncio.gather(*(store.outbox.take(60) for _ in range(5)))

    assert [notification.kind for notification in taken if notification is not None] == [NotificationKind.CARD]
    assert not await store.outbox.any_due()


async def test_the_last_rotation_of_a_group_is_the_one_that_reached_turso(store: Store) -> None:
    grant, done, cancelled = await store.grant(), await store.request(), await store.request(by=BOB)
    await store.claim(done, grant)
    await store.move(done, State.ROTATING, State.SUCCEEDED, "c1")
    await store.move(cancelled, State.REQUESTED, State.CANCELLED)
    payments, default = (await store.open()).world, (await store.open("default")).world

    assert payments.last is not None
    assert payments.last.id == done.id
    assert default.last is None


async def _put(store: Store, rotation: Rotation, state: State) -> None:
    """Set a state past the rules, to start a story from."""
    lease = database_now() if state is State.ROTATING else None
    change = rotations.update().where(rotations.c.id == rotation.id).values(state=str(state), lease_until=lease)

    def transaction(connection: Connection) -> None:
        with unguarded(connection):
            connection.execute(change)

    await store.database.write(transaction)
