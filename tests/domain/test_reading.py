"""Who reads what of history, told as it happens, and what a denial leaves behind."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bot.domain.access import PolicySource
from bot.domain.errors import DuplicateDelivery, NoSuchRotation, Refused
from bot.domain.events import Action, Event
from bot.domain.grants import NewGrant, Role
from bot.domain.history import Cursor, HistoryQuery, Page, RequestStatus
from bot.domain.models import Actor, ChannelId, GrantId, GroupName, RotationId, SlackContext, TeamId, UserId
from bot.domain.periods import Period
from bot.domain.policy import NO_STORY, OTHER_WORKSPACE, OWN_ONLY
from bot.domain.ports import NewRotation
from bot.domain.reading import History
from bot.store.database import open_database
from bot.store.history import SqlHistory
from bot.store.sqltypes import database_now
from bot.trail.records import EventFilter
from tests.databases import load_url
from tests.store.conftest import ACME, ALICE, OPERATOR, Store

TEAM = ALICE.team_id
BOB, MALLORY = Actor(TEAM, UserId("U0B0B0002")), Actor(TEAM, UserId("U0MALL003"))
OUTSIDER = Actor(TeamId("T0OTHER99"), ALICE.user_id)
HERE = SlackContext(ChannelId("C0INCIDENT"))
MOST_PAGES = 200
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
PAYMENTS, LEDGER = GroupName("payments"), GroupName("ledger")
EVERYTHING = ["ledger denied", "no group rejected", "payments denied", "ledger requested", "payments requested"]


class World(Store):
    """A workspace with two groups, and what people do there."""

    async def allow(
        self, actor: Actor, pattern: str, role: Role = Role.ROTATE, until: datetime | None = None
    ) -> GrantId:
        """Put somebody on the allowlist."""
        event = Event(Action.GRANTED, OPERATOR, ACME)
        return (await self.grants.add(NewGrant(actor, pattern, until, "", role), event)).id

    async def asks(self, actor: Actor, group: str, reason: str = "") -> RotationId:
        """Open a request, whatever the rules say."""
        rotation_id = RotationId(f"{actor.user_id}{group}".lower())
        event = Event(Action.REQUESTED, actor, ACME, GroupName(group), rotation_id)
        await self.rotations.open(NewRotation(rotation_id, event, HERE.channel_id, reason, 300))
        await self.ticks()
        return rotation_id

    async def is_refused(self, actor: Actor, group: GroupName | None, action: Action = Action.DENIED) -> None:
        """Record a refused command."""
        await self.trail.append(Event(action, actor, ACME, group, detail={"why": "No."}))
        await self.ticks()

    async def ticks(self) -> None:
        """Let the database's clock go on: SQLite's has milliseconds, and what happens in one comes in no order."""
        now = partial(self.database.read, lambda connection: connection.execute(select(database_now())).scalar_one())
        then = await now()
        while await now() == then:
            pass

    async def happens(self) -> None:
        """Let people ask for rotations, and be refused."""
        await self.asks(ALICE, "payments", "key leaked")
        await self.asks(BOB, "ledger")
        await self.is_refused(MALLORY, PAYMENTS)
        await self.is_refused(MALLORY, None, Action.REJECTED)
        await self.is_refused(OUTSIDER, LEDGER)

    @property
    def history(self) -> History:
        """The use cases under test."""
        return History(ACME, PolicySource(TEAM, self.grants), self.grants, SqlHistory(self.database, ACME), self.trail)

    async def reads(self, reader: Actor, query: HistoryQuery | None = None) -> list[str]:
        """Read the newest page, each request in a few words."""
        return told(await self.history.page(reader, HERE, Cursor(query or HistoryQuery())))

    async def denials(self) -> list[tuple[Actor, GroupName | None, dict[str, object]]]:
        """Read what is on record about denied looks at the history, oldest first."""
        rows = await self.trail.page(EventFilter(action=Action.READING_DENIED), limit=100)
        return [(row.event.actor, row.event.group, dict(row.event.detail)) for row in reversed(rows)]


def told(page: Page) -> list[str]:
    """Tell a page in a few words a request."""
    return [f"{asked.group or 'no group'} {asked.status}" for asked in page.entries]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    url = load_url(database_url)
    database = open_database(url)
    yield World(url, database)
    await database.close()


async def test_an_auditor_reads_everything(world: World) -> None:
    await world.happens()
    await world.allow(ALICE, "*", Role.AUDIT)

    page = await world.history.page(ALICE, HERE, Cursor(HistoryQuery()))

    assert told(page) == EVERYTHING
    assert page.narrowed is None
    assert page.entries[-1].reason == "key leaked"
    assert await world.reads(ALICE, HistoryQuery(group=LEDGER, person=BOB.user_id)) == ["ledger requested"]
    assert await world.reads(ALICE, HistoryQuery(outcome=RequestStatus.REJECTED)) == ["no group rejected"]
    assert await world.denials() == []


async def test_a_rotator_reads_their_groups_and_their_own(world: World) -> None:
    await world.happens()
    await world.allow(BOB, "pay*")

    page = await world.history.page(BOB, HERE, Cursor(HistoryQuery()))
    of_mallory = await world.history.page(BOB, HERE, Cursor(HistoryQuery(person=MALLORY.user_id)))
    own = await world.history.page(BOB, HERE, Cursor(HistoryQuery(group=LEDGER, person=BOB.user_id)))

    assert told(page) == ["payments denied", "ledger requested", "payments requested"]
    assert page.narrowed == "You only see the groups that you may rotate, and your own requests."
    assert told(of_mallory) == ["payments denied"]
    assert of_mallory.narrowed == "You only see the groups that you may rotate."
    assert (told(own), own.narrowed) == (["ledger requested"], None)
    assert (await world.history.page(BOB, HERE, Cursor(HistoryQuery(group=PAYMENTS)))).narrowed is None
    assert await world.denials() == []


async def test_a_rotator_of_everything_does_not_read_what_names_no_group(world: World) -> None:
    await world.happens()
    await world.allow(BOB, "*")

    assert await world.reads(BOB) == [each for each in EVERYTHING if each != "no group rejected"]


async def test_everybody_else_reads_their_own_requests_only(world: World) -> None:
    await world.happens()

    page = await world.history.page(MALLORY, HERE, Cursor(HistoryQuery()))

    assert told(page) == ["no group rejected", "payments denied"]
    assert page.narrowed == "You only see your own requests."
    assert await world.reads(MALLORY, HistoryQuery(group=LEDGER, person=MALLORY.user_id)) == []
    assert await world.denials() == []


async def test_who_is_auditor_and_rotator_reads_everything(world: World) -> None:
    await world.happens()
    await world.allow(BOB, "payments")
    await world.allow(BOB, "*", Role.AUDIT)

    assert await world.reads(BOB) == EVERYTHING


async def test_grants_that_are_over_let_nobody_read(world: World) -> None:
    await world.happens()
    await world.allow(MALLORY, "*", Role.AUDIT, until=LONG_AGO)
    await world.allow(MALLORY, "*")
    await world.grants.revoke(MALLORY, "*", Event(Action.REVOKED, OPERATOR, ACME))

    assert await world.reads(MALLORY) == ["no group rejected", "payments denied"]


async def test_a_question_about_others_is_refused_and_remembered_with_what_was_asked(world: World) -> None:
    await world.happens()
    await world.allow(BOB, "payments")
    query = HistoryQuery(LEDGER, ALICE.user_id, RequestStatus.FAILED, Period("2020-01-01.."))
    for reader, asked in ((BOB, query), (MALLORY, HistoryQuery(person=BOB.user_id))):
        with pytest.raises(Refused):
            await world.history.page(reader, HERE, Cursor(asked))

    why = "You may not read the history of ledger, only that of your own requests."
    since = "2020-01-01T00:00:00+00:00"
    facts = {"channel": "C0INCIDENT", "why": why, "person": ALICE.user_id, "outcome": "failed", "since": since}
    assert await world.denials() == [
        (BOB, LEDGER, facts),
        (MALLORY, None, {"channel": "C0INCIDENT", "why": OWN_ONLY, "person": BOB.user_id}),
    ]


async def test_another_team_reads_nothing_not_even_its_own(world: World) -> None:
    await world.happens()
    await world.allow(OUTSIDER, "*", Role.AUDIT)
    for look in (
        world.history.page(OUTSIDER, HERE, Cursor(HistoryQuery())),
        world.history.home(OUTSIDER, HERE, Cursor(HistoryQuery(person=OUTSIDER.user_id))),
        world.history.story(OUTSIDER, HERE, RotationId("u0alice01payments")),
    ):
        with pytest.raises(Refused, match=OTHER_WORKSPACE):
            await look

    assert [(actor, detail["why"]) for actor, _, detail in await world.denials()] == [(OUTSIDER, OTHER_WORKSPACE)] * 3


async def test_one_delivery_leaves_one_denial(world: World) -> None:
    place = SlackContext(HERE.channel_id, "d1")
    with pytest.raises(Refused):
        await world.history.page(MALLORY, place, Cursor(HistoryQuery(group=PAYMENTS)))
    with pytest.raises(DuplicateDelivery):
        await world.history.page(MALLORY, place, Cursor(HistoryQuery(group=PAYMENTS)))

    assert len(await world.denials()) == 1


async def test_a_story_is_told_to_whom_it_may_be(world: World) -> None:
    rotation = await world.asks(ALICE, "payments")
    await world.allow(BOB, "pay*")

    own = await world.history.story(ALICE, HERE, rotation)
    seen = await world.history.story(BOB, HERE, rotation)
    with pytest.raises(Refused, match=NO_STORY):
        await world.history.story(MALLORY, HERE, rotation)
    with pytest.raises(NoSuchRotation):
        await world.history.story(BOB, HERE, RotationId("x" * 90))

    assert own == seen
    assert [row.event.action for row in own.events] == [Action.REQUESTED]
    why = "This bot's organization has no rotation with this id."
    assert await world.denials() == [
        (MALLORY, PAYMENTS, {"channel": "C0INCIDENT", "why": NO_STORY, "rotation": rotation}),
        (BOB, None, {"channel": "C0INCIDENT", "why": why, "rotation": "x" * 64}),
    ]
    assert await world.history.story(ALICE, HERE, rotation) == own, "a denied look is no part of the story"


async def test_an_auditors_home_shows_all_there_is(world: World) -> None:
    await world.happens()
    await world.allow(ALICE, "*", Role.AUDIT)
    await world.allow(BOB, "pay*")
    await world.allow(MALLORY, "*", until=LONG_AGO)

    home = await world.history.home(ALICE, HERE, Cursor(HistoryQuery()))

    assert told(home.page) == EVERYTHING
    assert [rotation.group for rotation in home.pending] == ["payments"]
    assert home.patterns == ()
    assert home.allowlist is not None
    assert [(grant.actor, grant.role) for grant in home.allowlist] == [(ALICE, Role.AUDIT), (BOB, Role.ROTATE)]
    assert home.groups == ["ledger", "payments"]
    assert home.head == await world.trail.head()


async def test_a_rotators_home_shows_what_is_theirs(world: World) -> None:
    await world.happens()
    await world.allow(BOB, "pay*")
    await world.allow(BOB, "pay*")

    home = await world.history.home(BOB, HERE, Cursor(HistoryQuery(outcome=RequestStatus.REQUESTED)))
    with pytest.raises(Refused):
        await world.history.home(BOB, HERE, Cursor(HistoryQuery(group=LEDGER)))

    assert told(home.page) == ["ledger requested", "payments requested"]
    assert [rotation.group for rotation in home.pending] == ["ledger"]
    assert (home.patterns, home.allowlist, home.groups) == (("pay*",), None, ["payments"])
    assert [(actor, group) for actor, group, _ in await world.denials()] == [(BOB, LEDGER)]


async def test_names_and_reasons_come_through_as_they_are(world: World) -> None:
    name, reason = "'; DROP TABLE rotations; -- <!channel>", "*bold* \u202e <@U0ALICE01>\n```"
    await world.asks(BOB, name, reason)
    await world.allow(BOB, "[']*")

    page = await world.history.page(BOB, HERE, Cursor(HistoryQuery(group=GroupName(name))))

    assert [(asked.group, asked.reason) for asked in page.entries] == [(name, reason)]


@given(limit=st.integers(1, 8), opened=st.lists(st.booleans(), max_size=7))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_leafing_back_shows_the_same_pages(world: World, limit: int, opened: list[bool]) -> None:
    await world.allow(ALICE, "*")
    for is_opened in opened:
        group = GroupName(f"group{(await world.trail.head()).seq}")
        await (world.asks(BOB, group) if is_opened else world.is_refused(BOB, group))
    pages = [await world.history.page(ALICE, HERE, Cursor(HistoryQuery()), limit=limit)]
    while (older := pages[-1].older) is not None and len(pages) < MOST_PAGES:
        pages.append(await world.history.page(ALICE, HERE, Cursor(HistoryQuery(), before=older), limit=limit))
    again = pages[-1:]
    while (newer := again[0].newer) is not None and len(again) < MOST_PAGES:
        again.insert(0, await world.history.page(ALICE, HERE, Cursor(HistoryQuery(), after=newer), limit=limit))

    assert again == pages
    assert len({asked.key for page in pages for asked in page.entries}) == sum(len(page.entries) for page in pages)
