"""A request knows what happened to its group before, and no request, start or note of the group overtakes another."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine

from bot.domain.events import Action, Event
from bot.domain.models import GroupName, RotationId
from bot.domain.ports import NewClaim, Superseded
from bot.domain.states import State
from tests.databases import load_url
from tests.store import shell
from tests.store.conftest import ACME, BOB, OPERATOR, Store, event_about

PAYMENTS = GroupName("payments")


@pytest.mark.fault("F39")
async def test_of_two_requests_of_one_person_at_once_one_counts(store: Store) -> None:
    for number in range(15):
        both = await asyncio.gather(*(store.request(f"group-{number}") for _ in range(2)))

        states = sorted([str(found.state) for one in both if (found := await store.rotations.get(one.id))])
        assert states == ["requested", "superseded"]


@pytest.mark.fault("F39")
async def test_asking_again_while_an_old_card_is_pressed_fails_neither(store: Store) -> None:
    grant = await store.grant()
    for number in range(15):
        group = f"group-{number}"
        old, other = await store.request(group), await store.request(group, by=BOB)
        await store.claim(other, grant)

        pressed, opened = await asyncio.gather(store.try_claim(old, grant), store.open(group))

        assert isinstance(pressed, Superseded | None)
        assert opened.rotation.state is State.REQUESTED


@pytest.mark.fault("F39")
async def test_what_is_asked_again_says_what_it_took_the_place_of(store: Store) -> None:
    older, others = await store.request(), await store.request(by=BOB)

    opened = await store.open()

    assert [(ended.id, ended.state) for ended in opened.superseded] == [(older.id, State.SUPERSEDED)]
    assert [waiting.id for waiting in opened.world.waiting] == [others.id]


@pytest.mark.fault("F39", "F17")
async def test_a_request_that_expires_while_its_world_is_read_is_asked_anew_too(store: Store) -> None:
    expired = await store.request(seconds=-1)
    event, instead = event_about(expired, Action.STARTED), store.new()
    claim = NewClaim(expired.id, None, "c1", 30, event, instead)

    superseded = await store.database.write(lambda connection: store.rotations._request_anew(connection, claim))

    assert (superseded.old.id, superseded.old.state) == (expired.id, State.SUPERSEDED)
    assert superseded.new.rotation.id == instead.id


@pytest.mark.databases("postgresql")  # SQLite has one writer at a time
@pytest.mark.fault("F39")
async def test_a_note_waits_for_a_start_that_is_being_decided(store: Store, database_url: str) -> None:
    engine = create_engine(load_url(database_url))
    try:
        with engine.begin() as start:
            event = _noted("2026-11-28T00:00:00.000000Z")
            store.rotations._lock_group(start, event)
            noting = asyncio.ensure_future(store.rotations.note(event))
            async with asyncio.timeout(5):
                while not await shell.rows(store.database, "SELECT 1 FROM pg_locks WHERE NOT granted"):
                    assert not noting.done(), "the note did not wait for the group's lock"
                    await asyncio.sleep(0.01)
        await noting
    finally:
        engine.dispose()

    assert await shell.trail_of(store.database) == ["rotation.noted"]


@pytest.mark.fault("F39")
async def test_of_several_notes_a_card_shows_the_newest_rotation(store: Store) -> None:
    for at in ("2026-11-28T00:00:00.000000Z", "2026-11-01T00:00:00.000000Z"):
        await store.rotations.note(_noted(at))

    by_hand = (await store.open()).world.by_hand

    assert by_hand is not None
    assert by_hand.at == datetime(2026, 11, 28, tzinfo=UTC)


@pytest.mark.parametrize("written", ["26-10-01T00:00:00Z", "soon", None, "0001-01-01T00:00:00+14:00"])
async def test_a_note_whose_time_cannot_be_read_keeps_no_card_from_being_shown(
    store: Store, written: str | None
) -> None:
    await store.rotations.note(_noted(written))

    by_hand = (await store.open()).world.by_hand

    assert by_hand is not None
    assert abs(by_hand.at - datetime.now(UTC)).total_seconds() < 60


async def test_a_request_for_another_group_supersedes_nothing(store: Store) -> None:
    kept = await store.request("default")

    await store.request()

    found = await store.rotations.get(RotationId(kept.id))
    assert found is not None
    assert found.state is State.REQUESTED


def _noted(at: str | None) -> Event:
    return replace(Event(Action.NOTED, OPERATOR, ACME, PAYMENTS), detail={"rotated_at": at, "note": at})
