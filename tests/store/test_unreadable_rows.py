"""Rows that hold what the bot never writes: the others are read and settled, and these are named."""

from dataclasses import replace

import pytest

from bot.domain.allowlist import Allowlist
from bot.domain.errors import UnreadableRow
from bot.domain.events import Action, Event
from bot.domain.history import HistoryQuery, HistorySearch
from bot.domain.models import GroupName, Rotation
from bot.domain.policy import Visibility
from bot.domain.recording import OutcomeRecorder
from bot.domain.states import State
from bot.domain.statistics import Interval, StatisticsQuery
from bot.store.backlog import SqlBacklog
from bot.store.history import SqlHistory
from bot.store.inspection import newest_rows, organizations
from bot.store.rotations import SqlRotations
from bot.store.snapshot import open_snapshot
from bot.store.statistics import SqlStatistics
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.store.attack import attack
from tests.store.conftest import ACME, ALICE, BOB, OPERATOR, Store

pytestmark = pytest.mark.fault("F53")

EVERYWHERE = [
    "detail = 'no JSON'",
    "detail = ''",
    "detail = '[]'",
    "detail = 'null'",
    f"detail = '{'[' * 100_000}'",
    "state = 'paused'",
    "resolved_as = 'perhaps'",
]
KINDS = {
    "sqlite": [
        *EVERYWHERE,
        "requested_at = '2026-02-31T00:00:00.000000Z'",
        "requested_at = '2026-01-01T00:00:00'",
        "reason = x'00ff'",
        "reason = CAST(x'70ff' AS TEXT)",
    ],
    "postgresql": [*EVERYWHERE, "ended_at = 'infinity'", "ended_at = '0044-03-15 BC'", "reason = NULL"],
}
"""What history cannot show."""
MORE_KINDS = {
    "sqlite": [
        *KINDS["sqlite"][5:],
        "expires_at = 'yesterday'",
        "world = 'round'",
        "databases = '{}'",
        'databases = \'{"count": 1, "names": 2}\'',
    ],
    "postgresql": [
        *KINDS["postgresql"][5:],
        "expires_at = 'infinity'",
        "expires_at = '-infinity'",
        "databases = '{}'",
        'databases = \'{"count": 1, "names": 2}\'',
    ],
}
"""What cannot be settled."""
UNCHECKED = {
    "sqlite": ["PRAGMA ignore_check_constraints = ON"],
    "postgresql": [
        "ALTER TABLE rotations DROP CONSTRAINT IF EXISTS ck_rotations_state",
        "ALTER TABLE rotations DROP CONSTRAINT IF EXISTS ck_rotations_resolved_as",
        "ALTER TABLE rotations ALTER COLUMN reason DROP NOT NULL",
        "ALTER TABLE allowlist DROP CONSTRAINT IF EXISTS ck_allowlist_role",
    ],
}
_JUDGED = "CHECK (resolved_as IN ('succeeded', 'failed'))"
_STATES = ", ".join(f"'{state}'" for state in State)
CHECKED_AGAIN = {
    "sqlite": [],
    "postgresql": [
        f"ALTER TABLE rotations ADD CONSTRAINT ck_rotations_state CHECK (state IN ({_STATES})) NOT VALID",
        f"ALTER TABLE rotations ADD CONSTRAINT ck_rotations_resolved_as {_JUDGED} NOT VALID",
        "ALTER TABLE allowlist ADD CONSTRAINT ck_allowlist_role CHECK (role IN ('rotate', 'audit')) NOT VALID",
        "UPDATE pg_constraint SET convalidated = true WHERE starts_with(conname, 'ck_')",
    ],
}
EVERYTHING = HistorySearch(Visibility(everything=True, patterns=(), actor=ALICE), HistoryQuery(), limit=1000)


def spoil(store: Store, *statements: str) -> None:
    """Do what only the owner of the database can."""
    kind = store.url.get_backend_name()
    attack(store.url, *UNCHECKED[kind], *statements, *CHECKED_AGAIN[kind])


async def spoiled(store: Store, kinds: dict[str, list[str]]) -> list[Rotation]:
    """Open overdue requests, and spoil each in another way."""
    ways = kinds[store.url.get_backend_name()]
    requests = [await store.request(f"group-{number}", seconds=-1) for number in range(len(ways))]
    changes = zip(ways, requests, strict=True)
    spoil(store, *(f"UPDATE rotations SET {way} WHERE id = '{each.id}'" for way, each in changes))  # noqa: S608 - the owner's
    return requests


async def test_one_bad_row_does_not_hold_up_the_others(store: Store) -> None:
    first = await store.request("first", seconds=-1)
    bad = await spoiled(store, {each: [way for way in ways if "state" not in way] for each, ways in MORE_KINDS.items()})
    last = await store.request("last", seconds=-1)
    failed: dict[str, Exception] = {}

    settled = [each.id async for each in OutcomeRecorder(store.rotations).tidy(failed.__setitem__)]

    assert settled == [first.id, last.id]
    assert sorted(failed) == sorted(f"Rotation {each.id}" for each in bad)
    for each in bad:
        with pytest.raises(UnreadableRow, match=f"Rotation {each.id} cannot be read: "):
            await store.rotations.get(each.id)
        assert await store.actions(each) == ["rotation.requested"]


async def test_history_shows_the_others_and_names_the_bad_ones(store: Store) -> None:
    first = await store.request("first")
    bad = await spoiled(store, KINDS)
    last = await store.request("last")
    history = SqlHistory(store.database, ACME)

    found = await history.find(EVERYTHING)
    mine = await history.pending(ALICE)

    assert [entry.rotation_id for entry in found.entries] == [last.id, first.id]
    assert sorted(each.key for each in found.unreadable) == sorted(f"Rotation {each.id}" for each in bad)
    assert list(mine) == [first, last]


async def test_pages_go_on_past_rows_that_cannot_be_read(store: Store) -> None:
    first = await store.request("first")
    bad = await spoiled(store, dict.fromkeys(KINDS, ["detail = ''"] * 3))
    last = await store.request("last")
    history = SqlHistory(store.database, ACME)

    pages = [await history.find(replace(EVERYTHING, limit=2))]
    while pages[-1].more and pages[-1].ends is not None:
        pages.append(await history.find(replace(EVERYTHING, limit=2, before=pages[-1].ends[1])))
    back = await history.find(replace(EVERYTHING, limit=2, after=pages[-1].ends[0] if pages[-1].ends else None))

    named = [[*(each.rotation_id for each in page.entries), *(each.key for each in page.unreadable)] for page in pages]
    one, two, three = (f"Rotation {each.id}" for each in bad)
    assert named == [[last.id, three], [two, one], [first.id]]
    assert sorted(each.key for each in back.unreadable) == [one, two]


async def test_rows_that_cannot_be_read_do_not_starve_the_rest(store: Store) -> None:
    bad = await spoiled(store, dict.fromkeys(KINDS, ["detail = ''"] * 5))
    good = [await store.request(f"good-{number}", seconds=-1) for number in range(3)]
    few = SqlRotations(store.database, UNKEYED, ACME, overdue_at_once=2)

    found = await few.overdue()

    assert [each.id for each in found] == [each.id for each in good]
    assert [each.key for each in found.unreadable] == [f"Rotation {each.id}" for each in bad]


async def test_a_grant_that_cannot_be_read_is_none_and_can_be_revoked(store: Store) -> None:
    never = {"sqlite": "until = 'never'", "postgresql": "until = 'infinity'"}[store.url.get_backend_name()]
    mute, owner, endless, good = [await store.grant(pattern) for pattern in ("one", "two", "three", "four")]
    change = "UPDATE allowlist SET {} WHERE id = {}".format
    attack(  # without the check of roles from now on, which would keep the row from being revoked
        store.url,
        *UNCHECKED[store.url.get_backend_name()],
        change("revoked_at = granted_at", mute),
        change("role = 'owner'", owner),
        change(never, endless),
    )
    allowlist = Allowlist(store.grants, OPERATOR, ACME)

    held, every = await store.grants.held_by(ALICE), await allowlist.read(revoked=True)
    who = await allowlist.who("four", None)
    revoked = await allowlist.remove(ALICE)
    left = await allowlist.read()

    assert [grant.id for grant in held.grants] == [good]
    assert [each.key for each in every.unreadable] == [f"Grant {each}" for each in (mute, owner, endless)]
    assert [grant.id for grant in who] == [good]
    assert [each.key for each in who.unreadable] == [each.key for each in every.unreadable]
    assert ([grant.id for grant in revoked], [each.key for each in revoked.unreadable]) == (
        [good],
        [f"Grant {owner}", f"Grant {endless}"],
    )
    assert (left.grants, left.unreadable) == ((), ())


async def test_events_that_cannot_be_read_are_named_among_the_others(store: Store) -> None:
    never = {"sqlite": "'2026-99-99T'", "postgresql": "'infinity'"}[store.url.get_backend_name()]
    first, second = await store.request("one"), await store.request("two")
    await store.move(second, State.REQUESTED, State.CANCELLED)
    await store.request("three")
    spoil(
        store,
        "UPDATE audit_events SET action = 'rotation.paused' WHERE seq = 1",
        "UPDATE audit_events SET detail = '[]' WHERE seq = 2",
        f"UPDATE audit_events SET at = {never} WHERE seq = 4",  # noqa: S608 - the owner's
    )

    page = await store.trail.page(EventFilter(), limit=10)
    story = await store.trail.story(second.id)
    told = await SqlHistory(store.database, ACME).story(second.id)

    assert [recorded.seq for recorded in page] == [3]
    assert {each.key for each in page.unreadable} >= {"Row 1", "Row 2"}
    assert ([recorded.seq for recorded in story], [each.key for each in story.unreadable]) == ([3], ["Row 2"])
    assert told is not None
    assert ([recorded.seq for recorded in told.events], [each.key for each in told.unreadable]) == ([3], ["Row 2"])
    assert (await store.request("four")).state is State.REQUESTED
    assert first.state is State.REQUESTED


async def test_a_notification_that_cannot_be_read_holds_up_no_other(store: Store) -> None:
    for group in ("one", "two", "three"):
        await store.move(await store.request(group), State.REQUESTED, State.CANCELLED)
    before = {"sqlite": "created_at = 'before'", "postgresql": "created_at = '-infinity'"}
    spoil(
        store,
        "UPDATE outbox SET due_at = created_at",
        "UPDATE outbox SET kind = 'letter' WHERE id = 1",
        f"UPDATE outbox SET {before[store.url.get_backend_name()]} WHERE id = 2",  # noqa: S608 - the owner's
    )

    met: list[object] = []
    while await store.outbox.any_due():
        try:
            taken = await store.outbox.take(60)
            met.append(taken and taken.id)
        except UnreadableRow as row:
            met.append(row.key)
    counted = await SqlBacklog(store.database, ACME).read()

    assert met == ["Notification 1", "Notification 2", 3]
    assert counted.notifications == 3


async def test_statistics_leave_out_what_cannot_be_read_and_count_it(store: Store) -> None:
    strange = {
        "sqlite": "requested_at = '2026-99-99T00:00:00.000000Z'",
        "postgresql": "requested_at = 'infinity'",
    }[store.url.get_backend_name()]
    for _ in range(4):
        await store.move(await store.request("one"), State.REQUESTED, State.CANCELLED)
    change = "UPDATE rotations SET {} WHERE id = 'rotation000{}'".format
    # The third ended before it began: the clock stepped back.
    stepped = "ended_at = '2026-01-01T00:00:00.000000Z'"
    spoil(store, change("state = 'paused'", 0), change(strange, 1), change(stepped, 2), change(stepped, 3))

    with open_snapshot(store.url) as connection:
        statistics = SqlStatistics(connection, StatisticsQuery(ACME))
        tallies, medians = statistics.tallies(Interval.WEEK), statistics.medians()
        weekly = statistics.medians(Interval.WEEK)

    assert [(tally.key.outcome, tally.count) for tally in tallies] == [("cancelled", 2)]
    assert statistics.uncounted == 2
    assert list(weekly.values()) == [0.0]
    assert [key.outcome for _, key in medians] == ["cancelled"]


async def test_the_newest_row_of_the_trail_is_read_whatever_it_holds(store: Store) -> None:
    await store.request("one")
    strange = {"sqlite": "at = 'today'", "postgresql": "at = 'infinity'"}[store.url.get_backend_name()]
    spoil(store, f"UPDATE audit_events SET {strange}, detail = 'no JSON' WHERE seq = 1")  # noqa: S608 - the owner's

    (row,) = await newest_rows(store.database, 1)

    assert (row.seq, row.detail) == (1, "no JSON")


async def test_people_can_go_on_past_rotations_of_the_group_that_cannot_be_read(store: Store) -> None:
    grant = await store.grant()
    done = await store.request()
    await store.claim(done, grant)
    await store.move(done, State.ROTATING, State.SUCCEEDED, "c1")
    await store.rotations.note(Event(Action.NOTED, ALICE, ACME, GroupName("payments")))
    mine, other = await store.request(), await store.request(by=BOB)
    spoil(
        store,
        "UPDATE rotations SET databases = '[]'",
        "UPDATE audit_events SET detail = '' WHERE action LIKE '%.noted'",
    )

    opened = await store.open()
    claimed = await store.try_claim(opened.rotation, grant)

    assert (opened.world.last, opened.world.by_hand, opened.world.waiting, opened.superseded) == (None, None, (), ())
    assert isinstance(claimed, Rotation)
    for each in (done, mine, other):
        with pytest.raises(UnreadableRow):
            await store.rotations.get(each.id)


async def test_one_that_is_running_and_cannot_be_read_is_named_to_those_who_ask_for_its_group(store: Store) -> None:
    grant, running, waiting = await store.grant(), await store.request(), await store.request(by=BOB)
    await store.claim(running, grant)
    spoil(store, f"UPDATE rotations SET detail = '' WHERE id = '{running.id}'")  # noqa: S608 - the owner's

    for ask in (store.open(), store.try_claim(waiting, grant)):
        with pytest.raises(UnreadableRow, match=f"Rotation {running.id} cannot be read"):
            await ask
    assert (await store.open("another")).world.last is None
    assert await store.rotations.get(waiting.id) == waiting


@pytest.mark.databases("sqlite")
async def test_an_organization_that_is_no_text_does_not_keep_the_bot_from_starting(store: Store) -> None:
    await store.request("one")
    bad = await store.request("two")
    spoil(store, f"UPDATE rotations SET organization = x'00' WHERE id = '{bad.id}'")  # noqa: S608 - the owner's

    assert await organizations(store.database) == [ACME]
