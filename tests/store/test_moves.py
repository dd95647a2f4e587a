"""Every move of a rotation is legal, conditional, and commits together with its event."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from bot.domain.events import RECORDED_AS, Action, Event
from bot.domain.models import ChannelId, GroupName, Organization, Rotation, RotationId
from bot.domain.ports import NewRotation
from bot.domain.states import MOVES, State
from bot.store.overdue import OVERDUE
from bot.store.rotations import SqlRotations
from bot.trail.chain import UNKEYED
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store, event_about

STATES = st.sampled_from(State)


@given(attempts=st.lists(st.tuples(STATES, STATES), max_size=8))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_tried_only_legal_moves_happen(store: Store, attempts: list[tuple[State, State]]) -> None:
    grant = await store.grant()
    rotation = await store.request(f"group-{grant}")
    story = [Action.REQUESTED]

    for expected, to in attempts:
        if to is State.ROTATING and expected is State.REQUESTED:
            moved = await store.claim(rotation, grant)
        elif to is State.ROTATING or to not in MOVES[expected]:
            with pytest.raises(AssertionError):
                await store.move(rotation, expected, to)
            continue
        else:
            moved = await store.move(rotation, expected, to)
        assert (moved is not None) == (rotation.state is expected)
        if moved is not None:
            rotation = moved
            story.append(RECORDED_AS[to])

    assert await store.rotations.get(rotation.id) == rotation
    assert await store.actions(rotation) == story


async def test_a_request_is_kept_as_it_was_asked(store: Store) -> None:
    rotation = await store.request(seconds=300)

    assert await store.rotations.get(rotation.id) == rotation
    assert (rotation.requester, rotation.reason, rotation.state) == (ALICE, "why", State.REQUESTED)
    assert rotation.expires_at - rotation.requested_at == timedelta(seconds=300)


async def test_no_request_without_its_event(store: Store) -> None:
    event = Event(Action.REQUESTED, ALICE, ACME, GroupName("payments"), RotationId("r1"))

    with pytest.raises(TypeError):
        await store.rotations.open(NewRotation(RotationId("r1"), _nameless(event), ChannelId("C0OPS"), "why", 300))

    assert await store.rotations.get(RotationId("r1")) is None
    assert await shell.trail_of(store.database) == []


async def test_no_end_without_its_event(store: Store) -> None:
    rotation = await _started(store)
    event = _nameless(event_about(rotation, Action.SUCCEEDED))

    with pytest.raises(TypeError):
        await store.rotations.move(rotation.id, expected=State.ROTATING, event=event)

    assert await store.rotations.get(rotation.id) == rotation
    assert await store.outbox.take_for(rotation.id, 60) == []
    assert await store.actions(rotation) == ["rotation.requested", "rotation.started"]


async def test_the_holder_of_the_claim_replaces_unknown_by_the_late_truth(store: Store) -> None:
    rotation = await _started(store)
    await store.move(rotation, State.ROTATING, State.UNKNOWN)

    assert await store.move(rotation, State.UNKNOWN, State.SUCCEEDED, "somebody else") is None
    assert await store.move(rotation, State.UNKNOWN, State.SUCCEEDED, "c1") is not None
    assert (await store.actions(rotation))[-2:] == ["rotation.unknown", "rotation.succeeded"]


async def test_another_organization_is_another_world(store: Store) -> None:
    rotation = await _started(store)
    other = SqlRotations(store.database, UNKEYED, Organization("globex"))

    moved = await other.move(rotation.id, expected=State.ROTATING, event=event_about(rotation, Action.FAILED))

    assert moved is None
    assert await other.get(rotation.id) is None
    assert await store.rotations.get(rotation.id) == rotation


async def test_what_is_overdue_is_found_oldest_first(store: Store) -> None:
    late = await store.request("one", seconds=-1)
    stuck = await _started(store, "two", lease=-1)
    await _started(store, "three")
    await store.request("four")
    await store.move(await store.request("five", seconds=-1), State.REQUESTED, State.EXPIRED)

    assert [rotation.id for rotation in await store.rotations.overdue()] == [late.id, stuck.id]


async def test_what_is_overdue_is_found_without_reading_every_rotation(store: Store) -> None:
    def plan(connection: Connection) -> str:
        query = OVERDUE.params(of_organization="acme", at_once=1000, skipped=0)
        sql = str(query.compile(connection, compile_kwargs={"literal_binds": True})).replace("%", "%%")
        if connection.dialect.name == "sqlite":
            return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}").all())
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # its choice for tables as small as a test's
        return str(connection.exec_driver_sql(f"EXPLAIN {sql}").all())

    assert "ix_rotations_open" in await store.database.write(plan)


async def _started(store: Store, group: str = "payments", *, lease: float = 60) -> Rotation:
    rotation = await store.claim(await store.request(group), await store.grant(), lease=lease)
    assert rotation is not None
    return rotation


def _nameless(event: Event) -> Event:
    """Break an event so that it cannot be sealed: the organization is a must."""
    return replace(event, organization=None)  # type: ignore[arg-type]
