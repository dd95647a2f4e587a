"""Pages hold what a plain look at every request would hold, whatever is asked for, whoever asks, and however named."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert

from bot.domain.events import Action, Event
from bot.domain.history import EntryKey, HistoryEntry, HistoryQuery, HistorySearch, RequestStatus
from bot.domain.models import Actor, GroupName, Organization, RotationId, TeamId, UserId
from bot.domain.policy import Visibility
from bot.domain.states import State
from bot.store.history import MAX_GROUPS, MAX_NAMES, SqlHistory
from bot.store.tables import audit_events, rotations
from bot.trail.chain import GENESIS
from tests.store.attack import unguarded
from tests.store.conftest import ACME, ALICE, Store, event_about

START = datetime(2026, 10, 1, tzinfo=UTC)
BOB = Actor(ALICE.team_id, UserId("U0B0B0002"))
NAMESAKE = Actor(TeamId("T0OTHER99"), ALICE.user_id)
AUDITOR = Visibility(everything=True, patterns=(), actor=BOB)
NUMBERS = count()
MOST_PAGES = 20

NAMES = [
    "payments",
    "prod-eu",
    "prod-us",
    "prod-*",
    "[x]",
    "a%_b",
    "'; DROP TABLE rotations; --",
    "\U0001f525 \u202egnp",
]
# At most one rotation of a group is under way at a time; the others may be many.
ENDED = [RequestStatus(state) for state in State if state is not State.ROTATING]
names = st.sampled_from([GroupName(name) for name in NAMES])
people = st.sampled_from([ALICE, BOB, NAMESAKE])
moments = st.integers(0, 2).map(lambda seconds: START + timedelta(seconds=seconds))
reasons = st.sampled_from(["", "key leaked", "<!channel> *bold*", "\u202e\U0001f511\n'\"\\"])
patterns = st.sampled_from(["payments", "prod-*", "*", "[[]x]", "?%*", "absent", "'*"])
visibilities = st.builds(Visibility, st.booleans(), st.lists(patterns, max_size=3).map(tuple), people) | st.just(
    AUDITOR
)
queries = st.builds(
    HistoryQuery,
    group=st.none() | names,
    person=st.none() | people.map(lambda actor: actor.user_id),
    outcome=st.none() | st.sampled_from(RequestStatus),
)
searches = st.builds(
    HistorySearch, visibilities, st.just(HistoryQuery()) | queries, st.none() | moments, st.none() | moments
)


@dataclass(frozen=True)
class Past:
    """A request as it came about."""

    actor: Actor
    group: GroupName | None
    ending: RequestStatus
    at: datetime
    reason: str


refusals = st.sampled_from([RequestStatus.DENIED, RequestStatus.REJECTED])
pasts = st.lists(
    st.builds(Past, people, names, st.sampled_from(ENDED), moments, reasons)
    | st.builds(Past, people, st.none() | names, refusals, moments, reasons),
    max_size=14,
)


@given(requests=pasts, search=searches, limit=st.integers(1, 5))
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_paging_both_ways_shows_each_request_once_in_order(
    store: Store, requests: list[Past], search: HistorySearch, limit: int
) -> None:
    organization = Organization(f"org{next(NUMBERS)}")
    asked = await written(store, organization, requests)
    history = SqlHistory(store.database, organization)

    forth = await paged(history, replace(search, limit=limit))
    back = await paged(history, replace(search, after=EntryKey(START - timedelta(days=1), ""), limit=limit))

    expected = [each for each in asked if let_through(search, each)]
    assert [each for page in forth for each in page] == expected
    assert [each for page in reversed(back) for each in page] == expected
    assert all(len(page) == limit for page in [*forth[:-1], *back[:-1]])
    assert [] not in forth[1:] + back[1:]


def let_through(search: HistorySearch, asked: HistoryEntry) -> bool:
    """Say whether somebody may see a request and wants to."""
    visibility, query = search.visibility, search.query
    own_only = (
        query.person == visibility.actor.user_id and not visibility.everything and not visibility.covers(query.group)
    )
    return (
        (asked.actor == visibility.actor if own_only else visibility.includes(asked.actor, asked.group))
        and query.group in {None, asked.group}
        and query.person in {None, asked.actor.user_id}
        and query.outcome in {None, asked.status}
        and (search.since is None or search.since <= asked.key.at)
        and (search.until is None or asked.key.at < search.until)
    )


async def paged(history: SqlHistory, search: HistorySearch) -> list[list[HistoryEntry]]:
    """Read page after page, each from where the last one ended."""
    pages: list[list[HistoryEntry]] = []
    while len(pages) < MOST_PAGES:
        found = await history.find(search)
        pages.append(list(found.entries))
        if not found.more:
            break
        newest, oldest = found.entries[0].key, found.entries[-1].key
        search = replace(search, before=oldest) if search.after is None else replace(search, after=newest)
    return pages


async def written(store: Store, organization: Organization, requests: Sequence[Past]) -> list[HistoryEntry]:
    """Write requests past the bot, which can be told no times; returns what is to be read, newest first."""
    seq = (await store.trail.head()).seq
    refused = list(enumerate((past for past in requests if past.ending not in ENDED), seq + 1))
    opened = [past for past in requests if past.ending in ENDED]

    def work(connection: Connection) -> list[HistoryEntry]:
        with unguarded(connection):
            ids = enumerate(opened, 100)
            asked = [_open(connection, organization, f"{organization}r{n}", past) for n, past in ids]
            if refused:
                connection.execute(insert(audit_events), [_refusal(organization, n, past) for n, past in refused])
        return asked + [_refused(n, past) for n, past in refused]

    return sorted(await store.database.write(work), key=lambda asked: asked.key.rank, reverse=True)


def _open(connection: Connection, organization: Organization, rotation_id: str, past: Past) -> HistoryEntry:
    ended = None if past.ending is RequestStatus.REQUESTED else past.at + timedelta(seconds=2.5)
    columns = {
        **_common(organization, past),
        "id": rotation_id,
        "channel_id": "C0INCIDENT",
        "reason": past.reason,
        "state": str(past.ending),
        "requested_at": past.at,
        "expires_at": past.at,
        "ended_at": ended,
        "detail": {"explanation": "So it ended.", "seconds": 0.4},
        "resolved_as": "failed" if past.ending is RequestStatus.UNKNOWN else None,
    }
    connection.execute(insert(rotations), columns)
    return HistoryEntry(
        key=EntryKey(past.at, rotation_id),
        actor=past.actor,
        group=past.group,
        status=past.ending,
        reason=past.reason,
        explanation="So it ended.",
        seconds=None if ended is None else 2.5,
        rotation_id=RotationId(rotation_id),
        resolved_as=State.FAILED if past.ending is RequestStatus.UNKNOWN else None,
    )


def _refusal(organization: Organization, seq: int, past: Past) -> dict[str, object]:
    return {
        **_common(organization, past),
        "seq": seq,
        "at": past.at,
        "action": f"rotation.{past.ending}",
        "detail": {"channel": "C0INCIDENT", "reason": past.reason, "why": "Because."},
        "prev_hash": GENESIS,
        "hash": GENESIS,
    }


def _refused(seq: int, past: Past) -> HistoryEntry:
    return HistoryEntry(EntryKey(past.at, f"#{seq}"), past.actor, past.group, past.ending, past.reason, "Because.")


def _common(organization: Organization, past: Past) -> dict[str, Any]:
    actor = past.actor
    return {"organization": organization, "group": past.group, "team_id": actor.team_id, "user_id": actor.user_id}


def a_past(group: str, ending: RequestStatus = RequestStatus.SUCCEEDED, actor: Actor = ALICE) -> Past:
    return Past(actor, GroupName(group), ending, START, "")


async def test_a_period_holds_wherever_a_page_begins(store: Store) -> None:
    day = timedelta(days=1)
    first, second, third = [replace(a_past("payments"), at=START + number * day) for number in range(3)]
    shown = await written(store, ACME, [first, second, third])
    history = SqlHistory(store.database, ACME)
    period = HistorySearch(AUDITOR, HistoryQuery(), second.at, third.at)

    pages = [
        await history.find(replace(period, before=EntryKey(third.at + day, "#1"))),
        await history.find(replace(period, after=EntryKey(first.at - day, "#1"))),
        await history.find(replace(period, before=shown[1].key)),
    ]

    assert [found.entries for found in pages] == [[shown[1]], [shown[1]], []]


async def test_another_organization_in_the_same_database_is_not_seen(store: Store) -> None:
    await written(store, Organization("other"), [a_past("payments"), a_past("payments", RequestStatus.DENIED)])
    history = SqlHistory(store.database, ACME)

    assert (await history.find(HistorySearch(AUDITOR, HistoryQuery()))).entries == []
    assert await history.groups(AUDITOR, 100) == []
    assert await history.story(RotationId("otherr100")) is None


async def test_names_that_anybody_can_type_do_not_hide_the_groups_that_are_rotated(store: Store) -> None:
    typed = [a_past(f"aaa{number:05}", RequestStatus.DENIED, BOB) for number in range(MAX_NAMES + 1)]
    real = [a_past("payments"), a_past("payments", RequestStatus.DENIED)]
    shown = await written(store, ACME, [*typed, *real])
    history = SqlHistory(store.database, ACME)
    rotator = Visibility(everything=False, patterns=("pay*",), actor=BOB)

    found = await history.find(HistorySearch(rotator, HistoryQuery(outcome=RequestStatus.SUCCEEDED)))
    denied = await history.find(
        HistorySearch(rotator, HistoryQuery(group=GroupName("payments"), outcome=RequestStatus.DENIED))
    )

    assert [asked.group for asked in found.entries] == ["payments"]
    assert (found.crowded, denied.crowded) == (True, False)
    assert denied.entries == [
        asked for asked in shown if asked.group == "payments" and asked.status is RequestStatus.DENIED
    ]
    assert "payments" in await history.groups(AUDITOR, 3)
    assert await history.groups(rotator, 3) == ["payments"]


async def test_so_many_groups_are_looked_through_and_exact_names_first(store: Store) -> None:
    await written(store, ACME, [a_past(f"prod-{number:03}") for number in range(MAX_GROUPS + 1)] + [a_past("zeta")])
    history = SqlHistory(store.database, ACME)
    rotator = Visibility(everything=False, patterns=("prod-*", "zeta"), actor=BOB)

    crowded = await history.find(HistorySearch(rotator, HistoryQuery(), limit=1000))
    exact = await history.find(HistorySearch(replace(rotator, patterns=("zeta", "prod-000")), HistoryQuery()))

    assert (len(crowded.entries), crowded.crowded) == (MAX_GROUPS, True)
    assert "zeta" in {asked.group for asked in crowded.entries}
    assert ({asked.group for asked in exact.entries}, exact.crowded) == ({"zeta", "prod-000"}, False)


async def test_what_waits_is_ones_own_and_not_over(store: Store) -> None:
    first, cancelled, last = [await store.request(group) for group in ("payments", "prod-eu", "prod-us")]
    await store.request("default", seconds=0)
    await store.move(cancelled, State.REQUESTED, State.CANCELLED)
    history = SqlHistory(store.database, ACME)

    assert list(await history.pending(ALICE)) == [first, last]
    assert list(await history.pending(NAMESAKE)) == []
    assert list(await history.pending(BOB)) == []


async def test_a_story_is_the_rotation_and_its_events_in_order(store: Store) -> None:
    rotation = await store.request(seconds=300)
    await store.claim(rotation, await store.grant())
    ended = await store.move(rotation, State.ROTATING, State.UNKNOWN)

    story = await SqlHistory(store.database, ACME).story(rotation.id)

    assert story is not None
    assert story.rotation == ended
    actions = [str(recorded.event.action) for recorded in story.events]
    assert actions == ["rotation.requested", "rotation.started", "rotation.unknown"]


async def test_a_command_that_named_no_group_shows_what_was_typed(store: Store) -> None:
    detail = {"channel": "C0INCIDENT", "typed": "../x <!channel>", "why": "That is not a group name."}
    await store.trail.append(Event(Action.REJECTED, ALICE, ACME, detail=detail))
    press = event_about(await store.request(), Action.DENIED)
    await store.trail.append(press)  # no command, but a press on a card: no request of its own

    found = await SqlHistory(store.database, ACME).find(HistorySearch(AUDITOR, HistoryQuery()))

    assert [(asked.status, asked.group, asked.reason, asked.explanation) for asked in found.entries] == [
        (RequestStatus.REQUESTED, "payments", "why", ""),
        (RequestStatus.REJECTED, None, "../x <!channel>", "That is not a group name."),
    ]
