"""Who may make the call is decided by the database: one of them, or nobody."""

import asyncio

import pytest

from bot.errors import Duplicate, GroupBusy
from bot.models import Action, Event, Rotation, State
from tests.store.conftest import ACME, ALICE, FUTURE, PAST, PAYMENTS, Store, about


async def test_twenty_clicks_make_one_claim(store: Store) -> None:
    grant, rotation = await store.granted(), await store.requested()

    claims = await asyncio.gather(*(store.claimed(rotation, grant, claim=f"click {n}") for n in range(20)))

    winners = [claimed for claimed in claims if claimed is not None]
    assert [winner.state for winner in winners] == [State.ROTATING]
    assert (await store.actions()).count("rotation.started") == 1


async def test_one_rotation_of_a_group_at_a_time(store: Store) -> None:
    grant = await store.granted()
    requests = [await store.requested() for _ in range(8)]

    claims = await asyncio.gather(*(store.claimed(one, grant) for one in requests), return_exceptions=True)

    [winner] = [claim for claim in claims if isinstance(claim, Rotation)]
    busy = [claim.rotation.id for claim in claims if isinstance(claim, GroupBusy)]
    assert busy == [winner.id] * 7
    assert (await store.actions()).count("rotation.started") == 1


async def test_the_next_may_start_when_the_first_has_ended(store: Store) -> None:
    first = await store.rotating()
    grant, second = await store.granted(), await store.requested()
    with pytest.raises(GroupBusy):
        await store.claimed(second, grant)

    await store.moved(first, State.UNKNOWN)

    assert await store.claimed(second, grant) is not None


async def test_other_groups_are_not_kept_waiting(store: Store) -> None:
    await store.rotating()

    assert (await store.rotating("another")).state is State.ROTATING


async def test_an_expired_request_cannot_be_claimed(store: Store) -> None:
    rotation = await store.requested(seconds=0)

    assert await store.claimed(rotation, await store.granted()) is None
    assert await store.rotations.get(rotation.id) == rotation


async def test_an_ended_grant_claims_nothing(store: Store) -> None:
    rotation = await store.requested()

    assert await store.claimed(rotation, await store.granted(until=PAST)) is None
    assert await store.claimed(rotation, await store.granted(until=FUTURE)) is not None


async def test_a_revoked_grant_claims_nothing(store: Store) -> None:
    rotation, grant = await store.requested(), await store.granted()
    await store.grants.revoke(ALICE, None, Event(Action.REVOKED, ALICE, ACME))

    assert await store.claimed(rotation, grant) is None
    assert "rotation.started" not in await store.actions()


async def test_a_revocation_and_a_claim_stand_in_the_order_in_which_they_held(store: Store) -> None:
    for number in range(12):
        grant, rotation = await store.granted(), await store.requested(f"group-{number}")
        claimed, _ = await asyncio.gather(
            store.claimed(rotation, grant), store.grants.revoke(ALICE, None, Event(Action.REVOKED, ALICE, ACME))
        )

        last = (await store.actions())[-2:]
        assert last == (
            ["rotation.requested", "allowlist.revoked"]
            if claimed is None
            else ["rotation.started", "allowlist.revoked"]
        )


async def test_a_click_delivered_twice_starts_nothing_new(store: Store) -> None:
    grant, rotation = await store.granted(), await store.requested()
    event = Event(Action.STARTED, ALICE, ACME, PAYMENTS, rotation.id, delivery="d1")
    await store.trail.append(Event(Action.DENIED, ALICE, ACME, delivery="d1"))

    with pytest.raises(Duplicate):
        await store.rotations.claim(rotation.id, grant=grant.id, claim="mine", lease=60, event=event)

    assert await store.rotations.get(rotation.id) == rotation


async def test_the_group_is_free_again_while_we_ask_who_holds_it(store: Store) -> None:
    """Claims and ends of one group race; nobody ever sees a bare constraint error."""
    grant = await store.granted()

    async def rotate_and_fail() -> bool:
        rotation = await store.requested()
        try:
            claimed = await store.claimed(rotation, grant, claim=rotation.id)
        except GroupBusy:
            return False
        assert claimed is not None
        event = about(claimed, State.FAILED)
        ended = await store.rotations.move(rotation.id, expected=State.ROTATING, event=event, claim=rotation.id)
        return ended is not None

    done = await asyncio.gather(*(rotate_and_fail() for _ in range(30)))

    actions = await store.actions()
    assert sum(done) == actions.count("rotation.started") == actions.count("rotation.failed") >= 1
