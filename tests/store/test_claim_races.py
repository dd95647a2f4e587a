"""Who may make the call is decided by the database, whatever happens at the same time."""

import asyncio
from datetime import UTC, datetime

import pytest

from bot.domain.errors import DuplicateDelivery
from bot.domain.events import Action, Event
from bot.domain.grants import NewGrant
from bot.domain.models import Actor, GrantId, Rotation, UserId
from bot.domain.ports import Superseded
from bot.domain.states import State
from tests.store import shell
from tests.store.conftest import ACME, ALICE, Store, event_about

REVOKED = Event(Action.REVOKED, ALICE, ACME)


@pytest.mark.fault("F21")
async def test_of_eight_requests_for_one_group_one_is_started_and_named_to_the_others(store: Store) -> None:
    grant, requests = await store.grant(), [await store.request(by=person(number)) for number in range(8)]

    claims = await asyncio.gather(*(store.try_claim(one, grant) for one in requests))

    [winner] = [claim for claim in claims if isinstance(claim, Rotation)]
    named = [claim.new.world.last for claim in claims if isinstance(claim, Superseded)]
    assert [last and last.id for last in named] == [winner.id] * 7
    assert (await shell.trail_of(store.database)).count("rotation.started") == 1


async def test_other_groups_are_not_kept_waiting(store: Store) -> None:
    grant, requests = await store.grant(), [await store.request(f"group-{number}") for number in range(8)]

    claims = await asyncio.gather(*(store.claim(one, grant) for one in requests))

    assert [claimed.state for claimed in claims if claimed is not None] == [State.ROTATING] * 8


@pytest.mark.parametrize(("year", "starts"), [(2020, False), (2200, True)])
@pytest.mark.fault("F18")
async def test_the_databases_clock_ends_a_grant(store: Store, year: int, *, starts: bool) -> None:
    new = NewGrant(ALICE, "*", datetime(year, 1, 1, tzinfo=UTC), "")
    grant = await store.grants.add(new, Event(Action.GRANTED, ALICE, ACME))

    assert (await store.claim(await store.request(), grant.id) is not None) == starts


@pytest.mark.fault("F18")
async def test_a_claim_and_a_revocation_stand_in_the_order_in_which_they_held(store: Store) -> None:
    for number in range(12):
        grant, rotation = await store.grant(), await store.request(f"group-{number}")
        claimed, _ = await asyncio.gather(store.claim(rotation, grant), store.grants.revoke(ALICE, None, REVOKED))

        before = "rotation.requested" if claimed is None else "rotation.started"
        assert (await shell.trail_of(store.database))[-2:] == [before, "allowlist.revoked"]


async def test_a_click_delivered_twice_starts_nothing(store: Store) -> None:
    grant, rotation = await store.grant(), await store.request()
    await store.trail.append(Event(Action.DENIED, ALICE, ACME, delivery="d1"))

    with pytest.raises(DuplicateDelivery):
        await store.try_claim(rotation, grant, delivery="d1")

    assert await store.rotations.get(rotation.id) == rotation


async def test_starts_and_ends_of_one_group_race_without_a_bare_error(store: Store) -> None:
    grant = await store.grant()

    done = await asyncio.gather(*(_start_and_end(store, grant, person(number)) for number in range(15)))

    trail = await shell.trail_of(store.database)
    assert sum(done) == trail.count("rotation.started") == trail.count("rotation.failed") >= 1


async def test_events_of_many_writers_are_numbered_in_the_order_of_their_times(store: Store) -> None:
    await asyncio.gather(*(store.trail.append(Event(Action.DENIED, ALICE, ACME)) for _ in range(25)))

    found = await shell.rows(store.database, "SELECT seq, at FROM audit_events ORDER BY seq")
    assert [seq for seq, _ in found] == list(range(1, 26))
    assert [at for _, at in found] == sorted(str(at) if isinstance(at, str) else at for _, at in found)  # type: ignore[type-var]


def person(number: int) -> Actor:
    """Name one of many people."""
    return Actor(ALICE.team_id, UserId(f"U0PERSON{number:02}"))


async def _start_and_end(store: Store, grant: GrantId, by: Actor) -> bool:
    rotation = await store.request(by=by)
    claimed = await store.try_claim(rotation, grant, claim=rotation.id)
    if isinstance(claimed, Superseded):
        return False
    assert claimed is not None
    event = event_about(claimed, Action.FAILED)
    ended = await store.rotations.move(rotation.id, expected=State.ROTATING, event=event, claim=rotation.id)
    return ended is not None
