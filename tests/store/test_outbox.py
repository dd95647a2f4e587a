"""The outbox: every notification is delivered by one replica at a time, and none is forgotten."""

import asyncio

from bot.domain.events import Action, Event
from bot.domain.models import SYSTEM, Organization, Rotation
from bot.domain.notifications import Notification, NotificationKind
from bot.domain.states import State
from bot.store.outbox import SqlOutbox
from bot.trail.chain import UNKEYED
from tests.store import shell
from tests.store.conftest import ACME, Store

GIVEN_UP = Event(Action.GIVEN_UP, SYSTEM, ACME, detail={"kind": "card"})


async def test_two_takers_never_take_the_same(store: Store) -> None:
    for number in range(10):
        await _cancelled(store, f"group-{number}")
    _all_due(store)

    first, second = await asyncio.gather(_take_all(store), _take_all(store))

    assert sorted(first + second) == sorted({*first, *second})
    assert len(first + second) == 10
    assert not await store.outbox.any_due()


async def test_the_writer_of_a_notification_may_deliver_it_first(store: Store) -> None:
    rotation = await _cancelled(store)

    assert not await store.outbox.any_due()
    assert await store.outbox.take(60) is None
    assert [notification.kind for notification in await store.outbox.take_for(rotation.id, 60)] == [
        NotificationKind.CARD
    ]


async def test_notifications_taken_at_once_are_taken_for_everybody(store: Store) -> None:
    rotation = await _cancelled(store)
    grant, other = await store.grant(), await store.request("other")
    await store.claim(other, grant)
    await store.move(other, State.ROTATING, State.SUCCEEDED)
    _all_due(store)

    taken = [notification.id for each in (rotation, other) for notification in await store.outbox.take_for(each.id, 60)]
    again = [notification.id for each in (rotation, other) for notification in await store.outbox.take_for(each.id, 60)]

    assert len(taken) == 3
    assert again == []
    assert await _take_all(store) == []


async def test_a_notification_comes_back_until_it_is_delivered(store: Store) -> None:
    await _cancelled(store)
    _all_due(store)

    await store.outbox.put_off(await _taken(store), 60)
    put_off = await store.outbox.take(60)
    _all_due(store)
    again = await _taken(store)
    await store.outbox.done(again)

    assert put_off is None
    assert again.attempts == 2
    assert await _count(store) == 0


async def test_a_notification_held_too_long_cannot_be_put_off_or_given_up(store: Store) -> None:
    await _cancelled(store)
    _all_due(store)
    slow = await _taken(store)
    _all_due(store)
    await _taken(store)
    await store.outbox.put_off(slow, -1)

    assert await store.outbox.take(60) is None
    assert not await store.outbox.give_up(slow, GIVEN_UP)
    assert str(Action.GIVEN_UP) not in await shell.trail_of(store.database)
    assert await _count(store) == 1


async def test_a_notification_is_overdue_after_a_day_by_the_databases_clock(store: Store) -> None:
    overdue = []
    for hours in (23, 25):
        await _cancelled(store, f"group-{hours}")
        _all_due(store, hours)
        overdue.append((await _taken(store)).overdue)

    assert overdue == [False, True]


async def test_giving_up_is_recorded_and_deleted_together_or_not_at_all(store: Store) -> None:
    await _cancelled(store)
    _all_due(store)
    notification = await _taken(store)
    given_up = await asyncio.gather(*(store.outbox.give_up(notification, GIVEN_UP) for _ in range(3)))

    assert sorted(given_up) == [False, False, True]
    assert (await shell.trail_of(store.database)).count(str(Action.GIVEN_UP)) == 1
    assert await _count(store) == 0


async def test_another_organizations_notifications_are_left_alone(store: Store) -> None:
    await _cancelled(store)
    _all_due(store)
    other = SqlOutbox(store.database, UNKEYED, Organization("other"))

    assert not await other.any_due()
    assert await other.take(60) is None
    assert await store.outbox.any_due()


async def _cancelled(store: Store, group: str = "payments") -> Rotation:
    rotation = await store.request(group)
    cancelled = await store.move(rotation, State.REQUESTED, State.CANCELLED)
    assert cancelled is not None
    return cancelled


def _all_due(store: Store, hours: int = 1) -> None:
    """Let hours go by."""
    ago = {
        "postgresql": f"now() - interval '{hours} hours'",
        "sqlite": f"strftime('%Y-%m-%dT%H:%M:%f', 'now', '-{hours} hours') || '000Z'",
    }[store.url.get_backend_name()]
    shell.run(store.url, f"UPDATE outbox SET created_at = {ago}, due_at = {ago}")  # noqa: S608 - ours


async def _count(store: Store) -> object:
    ((count,),) = await shell.rows(store.database, "SELECT count(*) FROM outbox")
    return count


async def _taken(store: Store) -> Notification:
    notification = await store.outbox.take(60)
    assert notification is not None
    return notification


async def _take_all(store: Store) -> list[int]:
    taken = []
    while (notification := await store.outbox.take(60)) is not None:
        taken.append(notification.id)
    return taken
