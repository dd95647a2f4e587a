"""The laws about the order of things, with the real stores and the real client in one process."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.domain.errors import AlreadyDecided, DatabaseError
from bot.domain.models import Actor, Request, TeamId, UserId
from bot.domain.states import State
from bot.sandbox.faults import Hang
from bot.trail.records import EventFilter
from tests.domain.world import HERE, PAYMENTS, World, opened
from tests.store.conftest import ALICE


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[World]:
    async with opened(sqlite_url) as everything:
        yield everything


@pytest.mark.law(1)
async def test_the_start_is_on_record_before_anything_reaches_turso(world: World) -> None:
    claimed = await world.claimed()

    assert world.turso.calls_to_rotate() == 0
    assert await world.store.actions(claimed.rotation) == ["rotation.requested", "rotation.started"]


@pytest.mark.law(1)
async def test_what_cannot_be_recorded_is_not_called(world: World) -> None:
    asked = await world.requests.request(ALICE, HERE, Request(PAYMENTS, "leaked"))
    with world.locked(), pytest.raises(DatabaseError):
        await world.rotations.confirm(ALICE, HERE, asked.rotation.id)

    assert world.turso.calls_to_rotate() == 0
    assert await world.state(asked.rotation) is State.REQUESTED


@pytest.mark.fault("F11")
async def test_an_outcome_that_cannot_be_written_is_kept_and_written_later(world: World) -> None:
    claimed = await world.claimed()
    with world.locked():
        for_now = await world.rotations.carry_out(claimed)
    settled = [rotation async for rotation in world.recorder.tidy()]

    assert for_now.state is State.UNKNOWN
    assert [rotation.state for rotation in settled] == [State.SUCCEEDED]
    assert await world.state(claimed.rotation) is State.SUCCEEDED
    assert world.turso.calls_to_rotate() == 1
    assert await world.store.actions(claimed.rotation) == [
        "rotation.requested",
        "rotation.started",
        "rotation.succeeded",
    ]


@pytest.mark.fault("F11")
async def test_the_late_truth_is_one_more_row_over_a_lease_given_up(world: World) -> None:
    claimed = await world.claimed()
    await world.store.move(claimed.rotation, State.ROTATING, State.UNKNOWN)
    await world.rotations.carry_out(claimed)

    assert await world.store.actions(claimed.rotation) == [
        "rotation.requested",
        "rotation.started",
        "rotation.unknown",
        "rotation.succeeded",
    ]


@pytest.mark.law(3)
async def test_a_call_without_an_answer_is_unknown(world: World) -> None:
    world.turso.inject(Hang())
    ended = await world.rotations.carry_out(await world.claimed())

    assert ended.state is State.UNKNOWN
    assert world.turso.calls_to_rotate() == 1


@pytest.mark.law(3)
async def test_a_call_that_is_broken_off_is_unknown(world: World) -> None:
    world.turso.inject(Hang())
    claimed = await world.claimed()
    calling = asyncio.create_task(world.rotations.carry_out(claimed))
    await world.turso.reached()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling

    ended = await world.store.rotations.get(claimed.rotation.id)
    assert ended is not None
    assert ended.state is State.UNKNOWN
    assert ended.detail["explanation"] == "The bot was stopped during the call: the rotation may have happened."


@pytest.mark.law(2)
async def test_a_rotation_is_confirmed_once(world: World) -> None:
    claimed = await world.claimed()
    with pytest.raises(AlreadyDecided):
        await world.rotations.confirm(ALICE, HERE, claimed.rotation.id)
    with pytest.raises(AlreadyDecided):
        await world.rotations.cancel(ALICE, HERE, claimed.rotation.id)

    assert await world.store.actions(claimed.rotation) == ["rotation.requested", "rotation.started"]


@pytest.mark.law(5)
async def test_a_press_on_an_unknown_rotation_leaves_a_row(world: World) -> None:
    mallory = Actor(TeamId("T012AB3CD"), UserId("U0MALL003"))
    asked = await world.requests.request(ALICE, HERE, Request(PAYMENTS, "leaked"))
    for actor in (mallory, ALICE):
        with pytest.raises(Exception, match=r"Only the person|There is no rotation with this ID"):
            await world.rotations.confirm(
                actor, HERE, asked.rotation.id if actor is mallory else type(asked.rotation.id)("nonsense")
            )
    events = await world.store.trail.page(EventFilter(), limit=2)
    assert [str(recorded.event.action) for recorded in events] == ["rotation.denied", "rotation.denied"]
