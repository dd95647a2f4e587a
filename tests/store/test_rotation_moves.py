"""Every move of a rotation is legal, conditional, and recorded in its own transaction."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from bot.errors import Duplicate
from bot.models import MOVES, Action, Errand, GroupName, Organization, RotationId, State
from bot.store.rotations import SqlRotations
from tests.store.conftest import PAYMENTS, Store, about, nameless

STATES = st.sampled_from(State)


@given(attempts=st.lists(st.tuples(STATES, STATES), max_size=8))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_only_legal_moves_from_where_it_stands(store: Store, attempts: list[tuple[State, State]]) -> None:
    grant = await store.granted()
    rotation = await store.requested(f"group-{len(await store.actions())}")
    story = [Action.REQUESTED]

    for expected, to in attempts:
        seen = replace(rotation, state=expected)
        if to is State.ROTATING and expected is State.REQUESTED:
            moved = await store.claimed(seen, grant)
        elif to is State.ROTATING or to not in MOVES[expected]:
            with pytest.raises(AssertionError):
                await store.moved(seen, to)
            continue
        else:
            moved = await store.moved(seen, to)
        assert (moved is not None) == (rotation.state is expected)
        if moved is not None:
            rotation = moved
            story.append(Action.of(to))

    assert await store.rotations.get(rotation.id) == rotation
    assert [recorded.event.action for recorded in await store.trail.story(rotation.id)] == story


async def test_a_request_is_kept_as_it_was_asked(store: Store) -> None:
    draft = store.draft()

    rotation = await store.rotations.open(draft)

    assert await store.rotations.get(rotation.id) == rotation
    assert (rotation.requester, rotation.reason, rotation.state) == (draft.event.actor, "key leaked", State.REQUESTED)
    assert rotation.expires_at - rotation.requested_at == timedelta(seconds=300)
    assert [recorded.event for recorded in await store.trail.story(rotation.id)] == [draft.event]


async def test_no_row_without_its_event(store: Store) -> None:
    draft = store.draft()

    with pytest.raises(IntegrityError):
        await store.rotations.open(replace(draft, event=nameless(draft.event)))

    assert await store.rotations.get(draft.id) is None
    assert await store.actions() == []


async def test_no_move_without_its_event(store: Store) -> None:
    rotation = await store.rotating()
    before = await store.actions()

    with pytest.raises(IntegrityError):
        await store.rotations.move(
            rotation.id, expected=State.ROTATING, event=nameless(about(rotation, State.SUCCEEDED))
        )

    assert await store.rotations.get(rotation.id) == rotation
    assert await store.outbox.of(rotation.id) == []
    assert await store.actions() == before


async def test_the_same_delivery_opens_one_request(store: Store) -> None:
    await store.rotations.open(store.draft(delivery="d1"))
    again = store.draft(delivery="d1")

    with pytest.raises(Duplicate):
        await store.rotations.open(again)

    assert await store.rotations.get(again.id) is None
    assert await store.actions() == ["rotation.requested"]


async def test_only_the_holder_of_a_claim_ends_it(store: Store) -> None:
    rotation = await store.rotating()

    assert await store.moved(rotation, State.SUCCEEDED, claim="somebody else's") is None
    ended = await store.moved(rotation, State.SUCCEEDED, claim="mine")

    assert ended is not None
    assert (ended.state, ended.lease_until, ended.detail) == (State.SUCCEEDED, None, {"explanation": "because"})
    assert [letter.errand for letter in await store.outbox.of(rotation.id)] == [Errand.CARD, Errand.ANNOUNCEMENT]


async def test_the_late_truth_replaces_unknown(store: Store) -> None:
    rotation = await store.rotating(lease=-1)
    given_up = await store.moved(rotation, State.UNKNOWN)
    assert given_up is not None

    late = await store.moved(given_up, State.SUCCEEDED, claim="mine")

    assert late is not None
    assert (await store.actions())[-2:] == ["rotation.unknown", "rotation.succeeded"]


async def test_another_organization_is_another_world(store: Store) -> None:
    rotation = await store.rotating()
    other = SqlRotations(store.database, Organization("globex"))

    moved = await other.move(rotation.id, expected=State.ROTATING, event=about(rotation, State.FAILED))

    assert moved is None
    assert await other.get(rotation.id) is None
    assert await other.last_of(PAYMENTS) is None


async def test_what_is_overdue_is_found_oldest_first(store: Store) -> None:
    late = await store.requested("one", seconds=-1)
    stuck = await store.rotating("two", lease=-1)
    await store.rotating("three")
    await store.requested("four")
    ended = await store.requested("five", seconds=-1)
    await store.moved(ended, State.EXPIRED)

    assert [rotation.id for rotation in await store.rotations.overdue()] == [late.id, stuck.id]


async def test_the_last_rotation_of_a_group_is_one_that_reached_turso(store: Store) -> None:
    first = await store.rotating()
    await store.moved(first, State.SUCCEEDED)
    second = await store.rotating()
    failed = await store.moved(second, State.FAILED)
    await store.requested()
    assert failed is not None

    last = await store.rotations.last_of(PAYMENTS)

    assert last is not None
    assert last.id == first.id
    assert await store.rotations.last_of(GroupName("another")) is None
    assert await store.rotations.get(RotationId("another")) is None
