"""What a person judges of an unknown is one more row, decided by the database, and no more than a judgement."""

import asyncio
from dataclasses import replace

import pytest

from bot.domain.errors import AlreadyResolved, NoSuchRotation, NotUnknown, UsageError
from bot.domain.events import Action
from bot.domain.models import Actor, Rotation, RotationId
from bot.domain.notifications import NotificationKind
from bot.domain.resolution import Resolution, Resolutions
from bot.domain.states import State
from tests.store.conftest import Store, event_about

FAILED, SUCCEEDED = Resolution.FAILED, Resolution.SUCCEEDED
ROOT = Actor.on_terminal("root")


@pytest.fixture
def judge(store: Store) -> Resolutions:
    return Resolutions(store.resolutions, ROOT)


@pytest.fixture
async def unknown(store: Store) -> Rotation:
    """Leave a rotation unknown, of which people have been told."""
    grant, rotation = await store.grant(), await store.request()
    await store.claim(rotation, grant)
    event = replace(event_about(rotation, Action.UNKNOWN), detail={"explanation": "No answer came."})
    await store.rotations.move(rotation.id, expected=State.ROTATING, event=event)
    for notification in await store.outbox.take_for(rotation.id, 60):
        await store.outbox.done(notification)
    return rotation


async def test_a_judgement_is_one_more_row_and_the_state_stays(
    store: Store, judge: Resolutions, unknown: Rotation
) -> None:
    judged = await judge.resolve(unknown.id, FAILED, " an old token still connects ")
    last = (await store.trail.story(unknown.id))[-1].event

    assert (judged.state, judged.resolved_as) == (State.UNKNOWN, State.FAILED)
    assert judged.detail == {
        "explanation": "No answer came.", "resolved_by": "root", "note": "an old token still connects",
    }  # fmt: skip
    assert await store.rotations.get(unknown.id) == judged
    assert (last.action, last.actor, last.group) == ("rotation.resolved", ROOT, unknown.group)
    assert last.detail == {"as": "failed", "note": "an old token still connects"}
    assert [notification.kind for notification in await store.outbox.take_for(unknown.id, 60)] == [
        NotificationKind.ANNOUNCEMENT
    ]


async def test_a_judgement_can_be_corrected_but_not_repeated(
    store: Store, judge: Resolutions, unknown: Rotation
) -> None:
    await judge.resolve(unknown.id, FAILED, "an old token still connects")
    with pytest.raises(AlreadyResolved, match="already been judged failed by root"):
        await judge.resolve(unknown.id, FAILED, "it really does")
    corrected = await judge.resolve(unknown.id, SUCCEEDED, "that token was minted later")
    said = [recorded.event.detail for recorded in (await store.trail.story(unknown.id))[-2:]]

    assert corrected.resolved_as is State.SUCCEEDED
    assert [(detail["as"], detail.get("instead_of")) for detail in said] == [("failed", None), ("succeeded", "failed")]


async def test_of_many_who_say_the_same_at_once_one_is_recorded(
    store: Store, judge: Resolutions, unknown: Rotation
) -> None:
    said = [judge.resolve(unknown.id, FAILED, f"says {number}") for number in range(8)]
    ends = await asyncio.gather(*said, return_exceptions=True)

    assert sum(isinstance(end, Rotation) for end in ends) == 1
    assert sum(isinstance(end, AlreadyResolved) for end in ends) == 7
    assert (await store.actions(unknown)).count("rotation.resolved") == 1


@pytest.mark.law(3)
async def test_the_late_truth_wins_over_a_judgement(store: Store, judge: Resolutions, unknown: Rotation) -> None:
    await judge.resolve(unknown.id, FAILED, "an old token still connects")
    settled = await store.move(unknown, State.UNKNOWN, State.SUCCEEDED, "c1")
    with pytest.raises(NotUnknown, match="recorded as succeeded"):
        await judge.resolve(unknown.id, FAILED, "it does connect")

    assert settled is not None
    assert (settled.state, settled.resolved_as) == (State.SUCCEEDED, None)
    assert (await store.actions(unknown))[-3:] == ["rotation.unknown", "rotation.resolved", "rotation.succeeded"]


async def test_the_late_truth_and_a_judgement_at_once_leave_the_truth(
    store: Store, judge: Resolutions, unknown: Rotation
) -> None:
    ends = await asyncio.gather(
        store.move(unknown, State.UNKNOWN, State.SUCCEEDED, "c1"),
        *(judge.resolve(unknown.id, each, "says one") for each in (FAILED, SUCCEEDED, FAILED)),
        return_exceptions=True,
    )
    left = await store.rotations.get(unknown.id)

    assert left is not None
    assert (left.state, left.resolved_as) == (State.SUCCEEDED, None)
    assert (await store.actions(unknown)).count("rotation.resolved") == sum(
        isinstance(end, Rotation) for end in ends[1:]
    )


@pytest.mark.parametrize("state", [State.REQUESTED, State.ROTATING, State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_only_an_unknown_is_judged(store: Store, judge: Resolutions, state: State) -> None:
    grant, rotation = await store.grant(), await store.request()
    if state not in {State.REQUESTED, State.CANCELLED}:
        await store.claim(rotation, grant)
    if state in {State.SUCCEEDED, State.FAILED}:
        await store.move(rotation, State.ROTATING, state)
    if state is State.CANCELLED:
        await store.move(rotation, State.REQUESTED, state)
    before = await store.rotations.get(rotation.id), await store.actions(rotation)
    with pytest.raises(NotUnknown, match=f"recorded as {state}"):
        await judge.resolve(rotation.id, SUCCEEDED, "I was there")
    decided = replace(event_about(rotation, Action.RESOLVED), detail={"note": "I was faster"})

    assert await store.resolutions.resolve(rotation.id, State.SUCCEEDED, decided) is None
    assert (await store.rotations.get(rotation.id), await store.actions(rotation)) == before


async def test_a_judgement_says_of_what_and_why(store: Store, judge: Resolutions, unknown: Rotation) -> None:
    with pytest.raises(NoSuchRotation):
        await judge.resolve(RotationId("nonsense"), FAILED, "why not")
    with pytest.raises(UsageError, match="how you know"):
        await judge.resolve(unknown.id, FAILED, " \t\n")
    long = await judge.resolve(unknown.id, FAILED, "an old\ttoken \x00\udcff" + "x" * 600)

    assert long.detail["note"] == "an old token \ufffd\ufffd" + "x" * 485
    assert (await store.actions(unknown))[-2:] == ["rotation.unknown", "rotation.resolved"]
