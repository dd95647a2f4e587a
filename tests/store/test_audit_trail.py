"""Law 6: the database itself refuses to change history; and a change commits with its event or not at all."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.domain.errors import DuplicateDelivery
from bot.domain.events import Action, Event
from bot.domain.models import GroupName
from bot.domain.states import State
from bot.trail.records import EventFilter
from tests.store.conftest import ACME, ALICE, Store

REWRITES = [
    "UPDATE audit_events SET action = 'rotation.failed'",
    "DELETE FROM audit_events",
    "DELETE FROM rotations",
    "DELETE FROM allowlist",
]
ONLY = {
    "sqlite": [
        (
            "INSERT OR REPLACE INTO audit_events SELECT seq, at, 'rotation.failed', team_id, user_id, organization, "
            '"group", rotation_id, detail, delivery, prev_hash, hash FROM audit_events WHERE seq = 1'
        ),
    ],
    "postgresql": ["TRUNCATE audit_events", "TRUNCATE rotations CASCADE", "TRUNCATE allowlist"],
}


@pytest.mark.fault("F32")
@pytest.mark.law(6)
async def test_the_database_refuses_to_rewrite_history(store: Store) -> None:
    rotation = await store.request()
    await store.grant()
    refused = []
    for statement in (*REWRITES, *ONLY[store.url.get_backend_name()]):
        with pytest.raises(DBAPIError):
            await store.database.write(lambda connection, sql=statement: connection.execute(text(sql)))  # type: ignore[misc]
        refused.append(statement)

    assert len(refused) == len(REWRITES) + len(ONLY[store.url.get_backend_name()])
    assert await store.actions(rotation) == ["rotation.requested"]


async def test_events_are_numbered_without_a_gap_also_after_a_rollback(store: Store) -> None:
    await store.request(delivery="d1")
    with pytest.raises(DuplicateDelivery):
        await store.request(delivery="d1")
    await store.request("default", delivery="d2")

    assert [recorded.seq for recorded in await store.trail.page(EventFilter(), limit=10)] == [2, 1]


@pytest.mark.fault("F16")
async def test_a_second_delivery_leaves_neither_rotation_nor_event(store: Store) -> None:
    first = await store.request(delivery="d1")
    with pytest.raises(DuplicateDelivery):
        await store.request(delivery="d1")

    assert await store.rotations.get(first.id) is not None
    assert len(await store.trail.page(EventFilter(), limit=10)) == 1
    assert await store.rotations.get(type(first.id)("rotation0001")) is None


async def test_a_move_without_its_event_does_not_happen(store: Store) -> None:
    rotation = await store.request(delivery="d1")
    event = Event(Action.CANCELLED, ALICE, ACME, rotation.group, rotation.id, delivery="d1")
    with pytest.raises(DuplicateDelivery):
        await store.rotations.move(rotation.id, expected=State.REQUESTED, event=event)

    found = await store.rotations.get(rotation.id)
    assert found is not None
    assert found.state is State.REQUESTED
    assert await store.outbox.take_for(rotation.id, 60) == []


async def test_pages_follow_each_other_by_key(store: Store) -> None:
    for number in range(7):
        await store.request(f"group{number}")
    pages, last = [], None
    while page := await store.trail.page(EventFilter(), limit=3, before=last):
        pages.append([recorded.seq for recorded in page])
        last = page[-1]

    assert pages == [[7, 6, 5], [4, 3, 2], [1]]


async def test_filters_narrow_the_page(store: Store) -> None:
    for group in ("payments", "default", "payments"):
        await store.request(group)
    found = await store.trail.page(EventFilter(group=GroupName("payments"), action=Action.REQUESTED), limit=10)
    missed = await store.trail.page(EventFilter(action=Action.SUCCEEDED), limit=10)

    assert [recorded.event.group for recorded in found] == ["payments", "payments"]
    assert not missed
