"""Grants: what an operator can add and remove, and who could rotate a group when."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bot.domain.allowlist import Allowlist, could_rotate
from bot.domain.errors import UsageError
from bot.domain.events import Event
from bot.domain.grants import Grant, Role
from bot.domain.models import Actor, GrantId, GroupName, Organization, TeamId, UserId
from bot.store.allowlist import SqlGrants
from bot.store.database import Database, open_database
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.databases import load_url

ALICE = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
BOB = Actor(TeamId("T012AB3CD"), UserId("U0B0B0002"))
ROOT = Actor.on_terminal("root")
DAY = datetime(2026, 10, 1, tzinfo=UTC)
NEXT_DAY = DAY + timedelta(days=1)
INSTANT = timedelta(microseconds=1)
GRANT = Grant(GrantId(1), ALICE, "prod-*", None, "", DAY + timedelta(hours=8), ROOT)
AT_NOON = DAY + timedelta(hours=12)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = open_database(load_url(database_url))
    yield database
    await database.close()


@pytest.fixture
def allowlist(database: Database) -> Allowlist:
    return Allowlist(SqlGrants(database, UNKEYED), ROOT, Organization("acme"))


async def facts(database: Database) -> list[dict[str, object]]:
    """Read what the trail says about each change of the allowlist, oldest first."""
    events: list[Event] = [
        recorded.event for recorded in await SqlTrail(database, UNKEYED).page(EventFilter(), limit=100)
    ]
    return [{"action": str(event.action), **event.detail} for event in reversed(events)]


@pytest.mark.parametrize(
    ("grant", "since", "until", "could"),
    [
        pytest.param(GRANT, DAY, NEXT_DAY, True, id="granted in the course of the day"),
        pytest.param(GRANT, DAY, None, False, id="not granted yet at that moment"),
        pytest.param(GRANT, GRANT.granted_at, None, True, id="from the very moment of the grant"),
        pytest.param(GRANT, GRANT.granted_at - INSTANT, None, False, id="not an instant before"),
        pytest.param(GRANT, DAY - timedelta(days=1), DAY, False, id="granted the day after"),
        pytest.param(replace(GRANT, granted_at=NEXT_DAY), DAY, NEXT_DAY, False, id="granted at the next midnight"),
        pytest.param(replace(GRANT, granted_at=NEXT_DAY - INSTANT), DAY, NEXT_DAY, True, id="in its last instant"),
        pytest.param(replace(GRANT, revoked_at=AT_NOON), DAY, NEXT_DAY, True, id="revoked in the course of the day"),
        pytest.param(replace(GRANT, revoked_at=AT_NOON), AT_NOON - INSTANT, None, True, id="right before"),
        pytest.param(replace(GRANT, revoked_at=AT_NOON), AT_NOON, None, False, id="at the moment of the revocation"),
        pytest.param(replace(GRANT, revoked_at=AT_NOON), NEXT_DAY, None, False, id="after the revocation"),
        pytest.param(replace(GRANT, revoked_at=GRANT.granted_at), DAY, NEXT_DAY, False, id="revoked at once"),
        pytest.param(replace(GRANT, granted_at=DAY - timedelta(9), until=DAY), DAY, NEXT_DAY, False, id="ended before"),
        pytest.param(replace(GRANT, until=NEXT_DAY), NEXT_DAY - INSTANT, None, True, id="the last day is included"),
        pytest.param(replace(GRANT, until=NEXT_DAY), NEXT_DAY, NEXT_DAY + timedelta(1), False, id="the next is not"),
        pytest.param(replace(GRANT, pattern="payments"), DAY, NEXT_DAY, False, id="another group"),
        pytest.param(replace(GRANT, pattern="*", role=Role.AUDIT), DAY, NEXT_DAY, False, id="an auditor"),
    ],
)
def test_who_could_rotate_is_told_to_the_instant(
    grant: Grant, since: datetime, until: datetime | None, *, could: bool
) -> None:
    assert could_rotate(grant, GroupName("prod-eu"), since, until) is could


async def test_who_could_rotate_is_told_from_the_rows(allowlist: Allowlist) -> None:
    await allowlist.add(ALICE, "prod-*")
    await allowlist.add(BOB, None, role=Role.AUDIT)
    revoked = await allowlist.remove(ALICE)
    at = revoked[0].granted_at
    moment = [grant.actor for grant in await allowlist.who("prod-eu", at)]
    around = [grant.actor for grant in await allowlist.who("prod-eu", at - timedelta(1), at + timedelta(1))]
    now = await allowlist.who("prod-eu", None)

    assert (moment, around, list(now)) == ([ALICE], [ALICE], [])


async def test_a_role_is_granted_revoked_and_on_record(allowlist: Allowlist, database: Database) -> None:
    auditor = await allowlist.add(ALICE, None, role=Role.AUDIT, note="external audit")
    both = await allowlist.add(ALICE, "*")
    with pytest.raises(UsageError, match="already has an auditor's grant"):
        await allowlist.add(ALICE, "*", role=Role.AUDIT)
    by_pattern = await allowlist.remove(ALICE, "*")
    by_role = await allowlist.remove(ALICE, role=Role.AUDIT)

    assert (auditor.role, auditor.pattern, both.role) == (Role.AUDIT, "*", Role.ROTATE)
    assert [grant.id for grant in (*by_pattern, *by_role)] == [both.id, auditor.id]
    assert [(fact["action"], fact["role"], fact["pattern"]) for fact in await facts(database)] == [
        ("allowlist.granted", "audit", "*"),
        ("allowlist.granted", "rotate", "*"),
        ("allowlist.revoked", "rotate", "*"),
        ("allowlist.revoked", "audit", "*"),
    ]


async def test_who_leaves_loses_every_role(allowlist: Allowlist) -> None:
    for pattern, role in (("prod-*", Role.ROTATE), ("payments", Role.ROTATE), (None, Role.AUDIT)):
        await allowlist.add(ALICE, pattern, role=role)
    kept = await allowlist.add(BOB, "payments")
    gone = await allowlist.remove(ALICE)

    assert len(gone) == 3
    assert [grant.id for grant in (await allowlist.read()).grants] == [kept.id]


@pytest.mark.databases("sqlite")
async def test_what_cannot_be_meant_is_refused_and_leaves_nothing(allowlist: Allowlist, database: Database) -> None:
    with pytest.raises(UsageError, match="leave out --group"):
        await allowlist.add(ALICE, "payments", role=Role.AUDIT)
    with pytest.raises(UsageError, match="leave out --group"):
        await allowlist.remove(ALICE, "payments", Role.AUDIT)
    with pytest.raises(UsageError, match="Name a group"):
        await allowlist.add(ALICE, None)
    with pytest.raises(UsageError, match="leave out --until"):
        await allowlist.add(ALICE, "payments", last_day=date.max)
    with pytest.raises(UsageError, match="no such grant"):
        await allowlist.remove(ALICE, role=Role.AUDIT)
    with pytest.raises(UsageError, match="not a pattern"):
        await allowlist.who("prod-*", None)

    assert await facts(database) == []


async def test_a_note_is_kept_in_a_form_that_every_database_takes(allowlist: Allowlist) -> None:
    grant = await allowlist.add(ALICE, "payments", note=" on\tcall \x00\udcff" + "x" * 300)

    assert grant.note == "on call \ufffd\ufffd" + "x" * 190
