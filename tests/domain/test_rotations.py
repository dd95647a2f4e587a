"""What was left behind is settled, and nothing that cannot be settled holds up the rest."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from bot.domain.errors import NoSuchGroup
from bot.domain.events import Action, Event
from bot.domain.models import Actor, GroupName, Request, Rotation, UserId
from bot.domain.states import State
from bot.domain.grants import NewGrant
from bot.slack.rotate import card
from bot.trail.records import EventFilter
from tests.domain.world import HERE, PAYMENTS, World, opened
from tests.store import shell
from tests.store.conftest import ACME, ALICE, OPERATOR


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as everything:
        yield everything


async def test_one_request_that_cannot_be_settled_holds_up_no_other(world: World) -> None:
    stuck, *others = [await world.store.request(seconds=0) for _ in range(3)]
    shell.run(
        world.store.url,
        "CREATE TRIGGER stuck BEFORE UPDATE ON rotations "
        f"WHEN OLD.id = '{stuck.id}' BEGIN SELECT RAISE(ABORT, 'stuck'); END",
    )
    settled = []
    with pytest.raises(IntegrityError, match="stuck"):  # noqa: PT012 - what came before it counts
        async for rotation in world.rotations.tidy():
            settled.append(rotation)  # noqa: PERF401 - the same

    assert [rotation.id for rotation in settled] == [rotation.id for rotation in others]
    assert [await world.state(rotation) for rotation in (stuck, *others)] == [
        State.REQUESTED,
        State.EXPIRED,
        State.EXPIRED,
    ]


async def test_a_grant_revoked_during_the_press_leaves_the_other_one_to_rotate_by(world: World) -> None:
    other = await world.store.grant("pay*")
    asked = await world.rotations.request(ALICE, HERE, Request(PAYMENTS, "leaked"))
    claim = world.store.rotations.claim

    async def claims_late(*which: Any, **more: Any) -> Rotation | None:
        await world.store.grants.revoke(ALICE, "*", Event(Action.REVOKED, OPERATOR, ACME))
        return await claim(*which, **more)

    world.store.rotations.claim = claims_late  # type: ignore[method-assign]
    await world.rotations.confirm(ALICE, HERE, asked.rotation.id)
    (started, *_) = await world.store.trail.page(EventFilter(action=Action.STARTED), limit=1)

    assert started.event.detail["grant"] == other
    assert await world.state(asked.rotation) is State.ROTATING


async def test_the_card_says_that_somebody_rotates_right_now(world: World) -> None:
    claimed = await world.claimed()
    meanwhile = card.ask(await world.rotations.request(ALICE, HERE, Request(PAYMENTS, "")))
    await world.rotations.carry_out(claimed)
    afterwards = card.ask(await world.rotations.request(ALICE, HERE, Request(PAYMENTS, "")))

    assert "Being rotated right now* by <@U0ALICE01>" in str(meanwhile)
    assert "Last rotated" not in str(meanwhile)
    assert "Last rotated <!date" in str(afterwards)


async def test_nobody_is_offered_a_group_they_may_not_rotate(world: World) -> None:
    bob = Actor(ALICE.team_id, UserId("U0B0B0002"))
    await world.store.grants.add(NewGrant(bob, "paymentz", None, ""), Event(Action.GRANTED, OPERATOR, ACME))
    with pytest.raises(NoSuchGroup) as everything:
        await world.rotations.request(ALICE, HERE, Request(GroupName("paymentz"), ""))
    with pytest.raises(NoSuchGroup) as nothing:
        await world.rotations.request(bob, HERE, Request(GroupName("paymentz"), ""))

    assert everything.value.similar == ("payments",)
    assert nothing.value.similar == ()
