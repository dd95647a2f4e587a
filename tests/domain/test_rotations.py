"""What was left behind is settled, and nothing that cannot be settled holds up the rest."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bot.domain.errors import CommitUnconfirmed, DatabaseUnavailable, NoSuchGroup, Refused
from bot.domain.events import Action, Event
from bot.domain.grants import NewGrant
from bot.domain.lease import Lease
from bot.domain.models import Actor, Databases, GroupName, Request, Rotation, UserId
from bot.domain.ports import NewClaim, Superseded
from bot.domain.recording import Claimed
from bot.domain.requests import ConfirmationPrompt
from bot.domain.states import State
from bot.slack.rotate import card
from bot.store.rotations import SqlRotations
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.domain.world import HERE, PAYMENTS, World, opened
from tests.store import shell
from tests.store.conftest import ACME, ALICE, OPERATOR, Store


class RevokedMeanwhile(SqlRotations):
    """Rotations of which none is claimed before an operator has revoked Alice's widest grant."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.database, UNKEYED, ACME)
        self._grants = store.grants

    async def claim(self, claim: NewClaim) -> Rotation | Superseded | None:
        await self._grants.revoke(ALICE, "*", Event(Action.REVOKED, OPERATOR, ACME))
        return await super().claim(claim)


class LosesAnswers(SqlRotations):
    """Rotations whose claims are committed, and nobody hears of it."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.database, UNKEYED, ACME)

    async def claim(self, claim: NewClaim) -> Rotation | Superseded | None:
        await super().claim(claim)
        raise CommitUnconfirmed("The answer was lost.")


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[World]:
    async with opened(sqlite_url) as everything:
        yield everything


async def test_one_request_that_cannot_be_settled_holds_up_no_other(world: World) -> None:
    *stuck, last = [await world.store.request(f"group-{number}", seconds=0) for number in range(5)]
    shell.run(
        world.store.url,
        "CREATE TRIGGER stuck BEFORE UPDATE ON rotations "
        f"WHEN OLD.id <> '{last.id}' BEGIN SELECT RAISE(ABORT, 'stuck'); END",
    )
    failed: dict[str, Exception] = {}
    settled = [rotation.id async for rotation in world.recorder.tidy(failed.__setitem__)]

    assert settled == [last.id]
    assert list(failed) == [f"Rotation {rotation.id}" for rotation in stuck]
    assert {str(getattr(error, "orig", "")) for error in failed.values()} == {"stuck"}


async def test_a_grant_revoked_during_the_press_leaves_the_other_one_to_rotate_by(world: World) -> None:
    other = await world.store.grant("pay*")
    asked = await world.requests.request(ALICE, HERE, Request(PAYMENTS, "leaked"))
    _, rotations = world.over(RevokedMeanwhile(world.store), world.recorder)
    await rotations.confirm(ALICE, HERE, asked.rotation.id)
    (started, *_) = await world.store.trail.page(EventFilter(action=Action.STARTED), limit=1)

    assert started.event.detail["grant"] == other
    assert await world.state(asked.rotation) is State.ROTATING


async def test_the_card_says_that_somebody_rotates_right_now(world: World) -> None:
    claimed = await world.claimed()
    meanwhile = card.ask(await world.requests.request(ALICE, HERE, Request(PAYMENTS, "")))
    await world.rotations.carry_out(claimed)
    afterwards = card.ask(await world.requests.request(ALICE, HERE, Request(PAYMENTS, "")))

    assert "Being rotated right now* by <@U0ALICE01>" in str(meanwhile)
    assert "Last rotated" not in str(meanwhile)
    assert "Last rotated <!date" in str(afterwards)


async def test_nobody_is_offered_a_group_they_may_not_rotate(world: World) -> None:
    bob = Actor(ALICE.team_id, UserId("U0B0B0002"))
    await world.store.grants.add(NewGrant(bob, "paymentz", None, ""), Event(Action.GRANTED, OPERATOR, ACME))
    with pytest.raises(NoSuchGroup) as everything:
        await world.requests.request(ALICE, HERE, Request(GroupName("paymentz"), ""))
    with pytest.raises(NoSuchGroup) as nothing:
        await world.requests.request(bob, HERE, Request(GroupName("paymentz"), ""))

    assert everything.value.similar == ("payments",)
    assert nothing.value.similar == ()


async def test_a_claim_whose_commit_arrives_late_ends_as_failed(world: World) -> None:
    asked = await world.requests.request(ALICE, HERE, Request(PAYMENTS, "leaked"))
    late = Claimed(asked.rotation, "late", Lease(2))
    world.recorder.watch(late)
    before = [rotation async for rotation in world.recorder.tidy()]
    await world.store.claim(asked.rotation, None, claim="late")
    after = [rotation async for rotation in world.recorder.tidy()]
    async with asyncio.timeout(1):
        await world.recorder.all_recorded()

    assert before == []
    assert [rotation.state for rotation in after] == [State.FAILED]
    assert world.turso.calls_to_rotate() == 0


@pytest.mark.fault("F45")
async def test_only_a_claim_that_may_be_recorded_is_in_doubt(world: World) -> None:
    asked = await world.requests.request(ALICE, HERE, Request(PAYMENTS, "leaked"))
    with world.locked(), pytest.raises(DatabaseUnavailable, match="locked"):
        await world.rotations.confirm(ALICE, HERE, asked.rotation.id)
    locked = world.recorder.has_unsent
    _, lossy = world.over(LosesAnswers(world.store), world.recorder)
    with pytest.raises(CommitUnconfirmed):
        await lossy.confirm(ALICE, HERE, asked.rotation.id)

    assert [locked, world.recorder.has_unsent] == [False, True]
    assert [rotation.state async for rotation in world.recorder.tidy()] == [State.FAILED]


async def test_a_claim_that_cannot_arrive_any_more_is_forgotten(world: World) -> None:
    asked, now = await world.requests.request(ALICE, HERE, Request(PAYMENTS, "leaked")), [0.0]
    world.recorder.watch(Claimed(asked.rotation, "late", Lease(2, [lambda: now[0]])))
    now[0] = 17 + 61
    await anext(world.recorder.tidy(), None)
    await world.store.claim(asked.rotation, None, claim="late")
    await anext(world.recorder.tidy(), None)

    assert await world.state(asked.rotation) is State.ROTATING


@pytest.mark.fault("F39")
async def test_what_is_asked_anew_knows_the_databases_of_now(world: World) -> None:
    old = await world.store.request()
    await world.store.rotations.note(Event(Action.NOTED, OPERATOR, ACME, PAYMENTS, detail={"note": "by hand"}))

    asked = await world.rotations.confirm(ALICE, HERE, old.id)

    assert isinstance(asked, ConfirmationPrompt)
    assert asked.rotation.databases == Databases.of(asked.info.databases)
    assert asked.rotation.databases is not None
    assert old.databases is None


@pytest.mark.fault("F35", "F39")
async def test_what_would_be_asked_anew_is_refused_if_the_bots_own_database_is_in_the_group_by_now(
    world: World,
) -> None:
    old = await world.store.request()
    await world.store.rotations.note(Event(Action.NOTED, OPERATOR, ACME, PAYMENTS, detail={"note": "by hand"}))
    host = (await world.client.group_info(PAYMENTS)).hostnames[0]
    _, rotations = world.over(world.store.rotations, world.recorder, database_hosts=["elsewhere", host])

    with pytest.raises(Refused, match="My own database is in payments"):
        await rotations.confirm(ALICE, HERE, old.id)

    assert await world.store.actions(old) == ["rotation.requested", "rotation.denied"]
    assert await world.state(old) is State.REQUESTED
