"""History in Slack, through the real process: the command, its pages, the details, and the Home tab."""

import json
import re
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from bot.domain.events import Action, Event, RecordedEvent
from bot.domain.grants import NewGrant, Role
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.sandbox.deliveries import signature
from bot.sandbox.faults import Fault, FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.messages import PostedMessage
from bot.sandbox.views import View
from bot.sandbox.workspace import Person
from bot.store.allowlist import SqlGrants
from bot.store.database import Database
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.e2e.conftest import ALICE, BOB, GUEST, MALLORY, asks, id_on, over
from tests.process import BotProcess, run
from tests.proxy import Proxy

AUDITOR = Person("U0AUD1T05", "auditor")
CONFIRM, DETAILS, OLDER, NEWER = "rotation:confirm", "history:details", "history:older", "history:newer"
MENUS = ["home:group", "home:person", "home:outcome", "home:period"]
AWAY = ":warning: The database "  # does not answer, or is busy: whoever waits behind somebody is told so
Rows = Callable[[], Awaitable[list[RecordedEvent]]]


@pytest.fixture
def rows(database: Database) -> Rows:
    """Give a way to read the audit trail, oldest first."""

    async def read() -> list[RecordedEvent]:
        return list(reversed(await SqlTrail(database, UNKEYED).page(EventFilter(), limit=10_000)))

    return read


def refusals(recorded: list[RecordedEvent]) -> list[str]:
    """Name the people who were refused to read."""
    return [each.event.actor.user_id for each in recorded if each.event.action is Action.READING_DENIED]


async def may(database: Database, person: Person, pattern: str, role: Role = Role.ROTATE) -> None:
    """Put somebody on the allowlist."""
    root, acme = Actor.on_terminal("root"), Organization("acme")
    granted = NewGrant(Actor(TeamId(person.team_id), UserId(person.user_id)), pattern, None, "", role)
    await SqlGrants(database, UNKEYED).add(granted, Event(Action.GRANTED, root, acme))


async def rotates(slack: LocalSlack, person: Person, text: str) -> str:
    """Rotate, and return the rotation's id."""
    card = await asks(slack, person, text)
    rotation = id_on(card)
    await slack.presses(person, card, CONFIRM)
    await slack.sees(person, f"Done: the tokens of {text.partition(' ')[0]}")
    return rotation


async def reads(slack: LocalSlack, person: Person, text: str, *needles: str) -> PostedMessage:
    """Ask for history, and return the page."""
    since = len(slack.messages)
    await slack.types(person, f"/turso-audit {text}".strip())
    return await slack.sees(person, *needles, since=since)


async def opens(slack: LocalSlack, person: Person, *needles: str) -> View:
    """Open the Home tab, and return it once it shows the needles."""
    await slack.opens_home(person)
    return await slack.sees_view(person, *needles)


def asked(message: PostedMessage | View) -> list[str]:
    """List the numbers of the requests that a page shows, in their order."""
    return re.findall(r"^number (\d+)$", message.plain, re.MULTILINE)


async def test_history_is_read_page_by_page(slack: LocalSlack, bot: BotProcess, rows: Rows) -> None:
    for number in range(23):
        await asks(slack, ALICE, f"payments number {number}")
    page = await reads(slack, BOB, "payments", "History", "@alice", "Showing: `payments`")
    pages, buttons = [asked(page)], [turns(page)]
    for turn, first in ((OLDER, 12), (OLDER, 2), (NEWER, 12), (NEWER, 22)):
        await slack.presses(BOB, page, turn)
        await slack.sees(BOB, f"number {first}\n")
        pages.append(asked(page))
        buttons.append(turns(page))

    newest, second, last = (
        [str(each) for each in range(top, bottom, -1)] for top, bottom in ((22, 12), (12, 2), (2, -1))
    )
    assert pages == [newest, second, last, second, newest]
    assert buttons == [[OLDER], [NEWER, OLDER], [NEWER], [NEWER, OLDER], [OLDER]]
    assert page.ephemeral_to == BOB.user_id
    assert len(slack.visible_to(BOB)) == 1  # each page took the place of the one before
    assert refusals(await rows()) == []


def turns(page: PostedMessage | View) -> list[str]:
    """List the ways on from a page."""
    return [button for button in page.buttons if button in {OLDER, NEWER}]


async def test_a_page_shows_how_long_each_rotation_took(slack: LocalSlack, turso: LocalTurso, bot: BotProcess) -> None:
    turso.inject(Fault(delay=1), times=1)
    await rotates(slack, ALICE, "payments")
    page = await reads(slack, BOB, "", "succeeded")
    home = await opens(slack, BOB, "succeeded")
    slow, at_home = (re.findall(r"· @\S+ · after (\d+\.\d) s", each.plain) for each in (page, home))
    await asks(slack, ALICE, "payments")
    waiting = await reads(slack, BOB, "requested", "requested")

    assert len(slow) == 1
    assert slow == at_home
    assert 1 <= float(slow[0]) < 10
    assert "after" not in waiting.plain


async def test_details_tell_the_story_row_by_row(slack: LocalSlack, bot: BotProcess, rows: Rows) -> None:
    rotation = await rotates(slack, ALICE, "payments key leaked")
    page = await reads(slack, BOB, "", "succeeded", "key leaked")
    pressed = await slack.presses(BOB, page, DETAILS)
    modal = await slack.sees_view(BOB, "Requested the rotation", "Turso confirmed")
    story = [each for each in await rows() if each.event.rotation_id == rotation]

    assert pressed.seconds < 1
    assert modal.content["type"] == "modal"
    assert "Reason: key leaked" in modal.plain
    assert rotation in modal.plain
    for each in story:
        assert f"Row {each.seq} · hash `{each.hash[:12]}` after `{each.prev_hash[:12]}`" in modal.plain
    assert len(story) == 3


async def test_a_stranger_reads_their_own_requests_alone(slack: LocalSlack, bot: BotProcess, rows: Rows) -> None:
    await rotates(slack, ALICE, "payments secret reason")
    theirs = await reads(slack, BOB, "", "secret reason", "succeeded")
    await slack.types(MALLORY, "/turso-rotate payments let me in")
    await slack.sees(MALLORY, "not on the allowlist for payments")
    own = await reads(slack, MALLORY, "", "denied", "let me in", "You only see your own requests.")
    await reads(slack, MALLORY, "payments", "You may not read the history of payments", "attempt is recorded")
    await reads(
        slack,
        MALLORY,
        "<@U0ALICE01|alice>",
        "You may only read the history of your own requests",
        "attempt is recorded",
    )
    await reads(slack, GUEST, "", "This bot serves another workspace.")
    await slack.presses(MALLORY, theirs, DETAILS)
    told = await slack.sees_view(MALLORY, "You may not read the details of this rotation.")
    before = len(slack.messages)
    await slack.presses(MALLORY, own, OLDER, value=json.dumps({"group": "payments"}))
    await slack.sees(MALLORY, "You may not read the history of payments", since=before)

    assert "secret" not in own.plain + told.plain
    assert refusals(await rows()) == [MALLORY.user_id, MALLORY.user_id, GUEST.user_id, MALLORY.user_id, MALLORY.user_id]


async def test_the_home_tab_shows_history_by_choice(slack: LocalSlack, bot: BotProcess) -> None:
    await rotates(slack, ALICE, "payments number 1")
    for number in range(2, 14):
        await asks(slack, BOB, f"default number {number}")
    home = await opens(slack, ALICE, "What you may rotate", "number 13", "Audit trail")
    first = asked(home)
    await slack.presses(ALICE, home, "home:older")
    await slack.sees_view(ALICE, "number 1\n")
    second = asked(home)
    await slack.presses(ALICE, home, "home:outcome", value="succeeded")
    await slack.sees_view(ALICE, "Showing: succeeded")
    succeeded = asked(home)
    await slack.uses(
        ALICE, home, {"action_id": "home:person", "type": "users_select", "selected_user": "U0B0B0002"}, {}
    )
    await slack.sees_view(ALICE, "Showing: @U0B0B0002 · succeeded", "No requests found.")
    shown = len([call for call in slack.calls if call.method == "views.publish"])
    await slack.opens_home(ALICE)
    await slack.called("views.publish", shown + 1)
    reopened = home.plain
    await slack.presses(ALICE, home, "home:clear")
    await slack.sees_view(ALICE, "Showing: everything", "number 13")
    await slack.presses(ALICE, home, "home:group", value="payments")
    await slack.sees_view(ALICE, "Showing: `payments`", "number 1\n")
    await slack.presses(ALICE, home, "home:period", value="24h")
    await slack.sees_view(ALICE, "Showing: `payments` · the last 24 hours")

    assert "Showing: @U0B0B0002 · succeeded" in reopened
    assert [menu for menu in home.buttons if menu in MENUS] == MENUS
    assert first == [str(number) for number in range(13, 3, -1)]
    assert second == ["3", "2", "1"]
    assert succeeded == asked(home) == ["1"]


async def test_details_open_from_the_home_tab_too(slack: LocalSlack, bot: BotProcess) -> None:
    await rotates(slack, ALICE, "payments key leaked")
    home = await opens(slack, ALICE, "key leaked")
    await slack.presses(ALICE, home, DETAILS)

    modal = await slack.sees_view(ALICE, "Turso confirmed")
    assert modal is not home


async def test_a_request_is_cancelled_from_the_home_tab(slack: LocalSlack, bot: BotProcess, rows: Rows) -> None:
    card = await asks(slack, ALICE, "payments key leaked")
    home = await opens(slack, ALICE, "Waiting for you", "Rotate the tokens of `payments`?", "key leaked")
    await slack.presses(MALLORY, home, "home:cancel")
    await slack.sees_view(MALLORY, "Only the person who requested this rotation")
    await slack.presses(ALICE, home, "home:cancel")
    told = await slack.sees(ALICE, "Cancelled. The tokens of `payments` were not touched.")
    await slack.sees_view(ALICE, "cancelled")
    await slack.presses(ALICE, home, "home:cancel", value=id_on(card))
    await slack.sees_view(ALICE, "This request is already cancelled.")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.called("response_url", 2)
    recorded = [each.event for each in await rows() if each.event.rotation_id == id_on(card)]

    assert (told.channel, told.ephemeral_to) == (card.channel, ALICE.user_id)
    assert "Waiting for you" not in home.plain
    assert card.buttons == []
    assert [(event.action, event.actor.user_id, event.detail["channel"]) for event in recorded] == [
        (Action.REQUESTED, ALICE.user_id, card.channel),
        (Action.DENIED, MALLORY.user_id, "home"),
        (Action.CANCELLED, ALICE.user_id, "home"),
    ]


async def test_an_auditor_reads_everything_and_rotates_nothing(
    slack: LocalSlack, bot: BotProcess, database: Database, rows: Rows
) -> None:
    await may(database, AUDITOR, "*", Role.AUDIT)
    await rotates(slack, ALICE, "payments key leaked")
    await slack.types(MALLORY, "/turso-rotate payments let me in")
    await slack.sees(MALLORY, "not on the allowlist for payments")
    page = await reads(slack, AUDITOR, "", "key leaked", "let me in", "Showing: everything")
    home = await opens(slack, AUDITOR, "Allowlist")
    bobs = await opens(slack, BOB, "key leaked")
    await slack.types(AUDITOR, "/turso-rotate payments")
    await slack.sees(AUDITOR, "not on the allowlist for payments")

    assert "Only " not in page.plain
    for line in (
        "@U0ALICE01 may rotate every group",
        "@U0B0B0002 may rotate every group",
        "@U0AUD1T05 may read everything",
    ):
        assert line in home.plain
    assert "You are not on the allowlist for any group." in home.plain
    assert "may rotate every group" not in bobs.plain
    assert refusals(await rows()) == []


async def test_the_head_of_the_trail_is_announced_logged_and_on_the_home_tab(
    slack: LocalSlack, bot: BotProcess, rows: Rows
) -> None:
    before = await rows()
    started = await bot.logs("audit trail at start")
    await rotates(slack, ALICE, "payments")
    announced = await slack.sees(None, "rotated the tokens of", channel="C0AUDIT")
    home = await opens(slack, ALICE, "Audit trail")
    await bot.signals(signal.SIGTERM)
    stopped = await bot.logs("audit trail at stop")
    first, last = (f"{newest.seq}:{newest.hash}" for newest in (before[-1], (await rows())[-1]))

    assert first != last
    assert (started["head"], stopped["head"]) == (first, last)
    assert f"Audit trail `{last}`" in announced.plain
    assert f"Audit trail `{last}`" in home.plain


async def test_a_judgement_is_announced_and_shown_as_one(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], tmp_path: Path
) -> None:
    turso.inject(FixedResponse(500), times=1)
    card = await asks(slack, ALICE, "payments key leaked")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Unknown: the tokens of payments may have been rotated")
    note = "the old tokens are refused"
    code, _, _ = await run(settings, tmp_path, "audit", "resolve", id_on(card), "--as", "succeeded", "--note", note)
    announced = await slack.sees(None, "judged that the rotation of `payments`", channel="C0AUDIT", timeout=8)
    page = await reads(slack, BOB, "unknown", "*unknown*, judged *succeeded*")
    await slack.presses(BOB, page, DETAILS)
    modal = await slack.sees_view(BOB, "Judged the outcome")

    assert code == 0
    for words in (f"Note: {note}", "a person's judgement", "Audit trail `"):
        assert words in announced.plain
    assert f"Judged as: succeeded · Note: {note}" in modal.plain
    assert "*unknown*, judged *succeeded*" in modal.plain


async def test_somebody_of_another_team_sees_no_home_tab(slack: LocalSlack, bot: BotProcess, rows: Rows) -> None:
    await rotates(slack, ALICE, "payments secret reason")
    home = await opens(slack, GUEST, "This bot serves another workspace.", "The attempt is recorded.")
    opened = await slack.opens_home(GUEST)
    await slack.redelivers(opened)
    await bot.logs("delivered twice")

    assert "secret" not in home.plain
    assert refusals(await rows()) == [GUEST.user_id, GUEST.user_id]


async def test_whoever_types_it_wrong_is_told_how_it_is_typed(slack: LocalSlack, bot: BotProcess) -> None:
    usage = "/turso-audit [group] [@person] [outcome] [7d | 2026-10-01..2026-10-31]"
    for text in ("help", "@bob", "payments default", "2026-02-30", "<!channel> `x` \u202e", "x" * 3000):
        told = await reads(slack, ALICE, text, usage)

        assert told.ephemeral_to == ALICE.user_id
        assert not re.search(r"<!|\u202e|`x`|xxx", json.dumps(told.blocks, ensure_ascii=False)), text


@pytest.mark.modes("http")
class TestOverHttp:
    @pytest.mark.usefixtures("bot")
    async def test_slack_verifies_the_address_of_its_events(self, slack: LocalSlack) -> None:
        body = json.dumps({"type": "url_verification", "token": "x", "challenge": "prove it"}).encode()
        stamp = str(int(time.time()))
        signed = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature("local-signing-secret", stamp, body),
        }
        async with (
            ClientSession() as session,
            session.post(slack.request_url or "", data=body, headers=signed) as answer,
        ):
            said = await answer.json()

        assert (answer.status, said) == (200, {"challenge": "prove it"})


@pytest.mark.databases("postgresql")
class TestDatabaseAway:
    @pytest.fixture
    def changes(self, line: Proxy, database_url: str) -> dict[str, str]:
        return {"DATABASE_URL": over(line, database_url)}

    @pytest.mark.usefixtures("bot")
    async def test_slack_is_answered_at_once_and_people_are_told(self, slack: LocalSlack, line: Proxy) -> None:
        await rotates(slack, ALICE, "payments key leaked")
        page = await reads(slack, ALICE, "", "key leaked")
        home = await opens(slack, ALICE, "key leaked")
        line.stalls()
        delivered = [
            await slack.types(ALICE, "/turso-audit"),
            await slack.presses(ALICE, page, DETAILS),
            await slack.opens_home(ALICE),
        ]
        await slack.sees_view(ALICE, "Loading…")
        await slack.sees(ALICE, AWAY)
        modal = await slack.sees_view(ALICE, "Rotation details", AWAY)
        modal.closed = True
        await slack.sees_view(ALICE, AWAY, "Try again")
        await line.resumes()
        await slack.presses(ALICE, home, "home:again")
        await slack.sees_view(ALICE, "key leaked")

        assert [(each.status, each.seconds < 1) for each in delivered] == [(200, True)] * 3
        assert modal is not home

    @pytest.mark.usefixtures("bot")
    async def test_details_that_slack_does_not_open_in_time_are_explained(self, slack: LocalSlack) -> None:
        await rotates(slack, ALICE, "payments key leaked")
        page = await reads(slack, ALICE, "", "key leaked")
        slack.fail("views.open", error="expired_trigger_id")
        delivery = await slack.presses(ALICE, page, DETAILS)

        await slack.sees(ALICE, "Slack did not open the details in time.")
        assert (delivery.status, delivery.seconds < 1) == (200, True)
