"""People, and those who pretend to be people, type and press what nobody expects."""

import asyncio
import json
import os
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.allowlist import Allowlist
from bot.domain.events import Action, Event
from bot.domain.grants import NewGrant
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.workspace import Person
from bot.store.allowlist import SqlGrants
from bot.store.database import Database
from bot.trail.chain import UNKEYED
from tests.e2e.conftest import ALICE, BOB, MALLORY, Trail, asks, id_on
from tests.e2e.test_turso_faults import mrkdwn
from tests.process import BotProcess, run

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
ROOT, ACME = Actor.on_terminal("root"), Organization("acme")
ASK = "turso-rotate allow add U0ALICE01 --team T012AB3CD --group payments"
ODD_NAMES = {
    "../x": "That is not a group name",
    "../databases/ledger": "That is not a group name",
    "a/b": "That is not a group name",
    "%2e%2e": "That is not a group name",
    "%2e%2e%2fdatabases%2fledger": "That is not a group name",
    "payments?x=1": "That is not a group name",
    "payments#x": "That is not a group name",
    "<!channel>": "That is not a group name",
    "x" * 10_000: "That is not a group name",
    "\u202estnemyap": "That is not a group name",
    "pay\u200bments": "That is not a group name",
    "рayments": "That is not a group name",  # noqa: RUF001 - a Cyrillic letter
    "🔥": "That is not a group name",
    "pay\x00ments": "That is not a group name",
    "\x00": "That is not a group name",
    "-payments": "That is not a group name",
    "payload": "no group called `payload`",
    "payload-db": "no group called `payload-db`",
    "PAYMENTZ": "no group called `PAYMENTZ`",
    "": "How to use",
    "   ": "How to use",
    "help": "How to use",
}


@pytest.mark.parametrize("changes", [{"CONFIRM_TTL": "1"}], ids=["second"])
@pytest.mark.fault("F17")
async def test_a_click_on_a_card_that_expired_on_the_way(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    card = await asks(slack, ALICE, "payments")
    os.kill(bot.pid, signal.SIGSTOP)
    click = asyncio.ensure_future(slack.presses(ALICE, card, CONFIRM))
    await asyncio.sleep(1.1)  # the time that the card had
    os.kill(bot.pid, signal.SIGCONT)
    await slack.sees(ALICE, "The request to rotate `payments` expired", "Nothing was done")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.presses(ALICE, card, CANCEL)
    await slack.called("response_url", 4)

    assert (await click).status == 200
    assert card.buttons == []
    assert "expired" in card.plain
    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.expired"]


@pytest.mark.fault("F18")
async def test_a_grant_that_was_revoked_after_the_card(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, database: Database, trail: Trail
) -> None:
    card = await asks(slack, ALICE, "payments")
    await Allowlist(SqlGrants(database, UNKEYED), ROOT, ACME).remove(actor(ALICE), "*")
    for action in (CONFIRM, CANCEL):
        since = len(slack.messages)
        await slack.presses(ALICE, card, action)
        await slack.sees(ALICE, "not on the allowlist for payments", "the attempt is recorded", ASK, since=since)

    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.denied", "rotation.denied"]


@pytest.mark.fault("F18")
async def test_a_grant_whose_time_ended_after_the_card(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, database: Database, trail: Trail
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=3)
    grant = NewGrant(actor(MALLORY), "pay*", until, "for a moment")
    await SqlGrants(database, UNKEYED).add(grant, Event(Action.GRANTED, ROOT, ACME))
    card = await asks(slack, MALLORY, "payments")
    await asyncio.sleep((until - datetime.now(UTC)).total_seconds())
    await slack.presses(MALLORY, card, CONFIRM)
    await slack.sees(MALLORY, "not on the allowlist for payments", "the attempt is recorded")

    assert turso.calls_to_rotate() == 0
    assert await trail() == ["rotation.requested", "rotation.denied"]


@pytest.mark.fault("F33")
async def test_an_empty_allowlist_allows_nobody(
    slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], database: Database, tmp_path: Path, trail: Trail
) -> None:
    allowlist = Allowlist(SqlGrants(database, UNKEYED), ROOT, ACME)
    for person in (ALICE, BOB):
        await allowlist.remove(actor(person), None)
    async with BotProcess(tmp_path, settings) as bot:
        await bot.logs("no grant in force: nobody may rotate")
        await slack.connected()
        await slack.types(ALICE, "/turso-rotate payments")
        await slack.sees(ALICE, "You are not on the allowlist for payments", ASK)
        await slack.types(ALICE, "/turso-rotate help")
        await slack.sees(ALICE, "not on the allowlist for any group")
        await slack.types(ALICE, "/turso-rotate *")
        await slack.sees(ALICE, "That is not a group name")

    assert [request.path for request in turso.requests] == ["/v1/organizations/acme/groups"]
    assert await trail() == ["rotation.denied", "rotation.rejected"]


@pytest.mark.modes("http")
@pytest.mark.databases("postgresql")
class TestOnPostgresOverHttp:
    """PostgreSQL, as it takes neither NUL nor lone surrogates; HTTP, as forms carry what JSON would not."""

    @pytest.mark.fault("F20")
    async def test_a_forged_button_value_is_refused(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
    ) -> None:
        mine, others = await asks(slack, ALICE, "payments"), await asks(slack, BOB, "default")
        values = ["rubbish", "x" * 2000, "'; DROP TABLE rotations; --", "%", ""]
        values += ["\x00", "a\x00b", "\ud800", "../x", "ł"]
        for value in values:
            since = len(slack.messages)
            pressed = await slack.presses(ALICE, mine, CONFIRM, value=value)
            await slack.sees(
                ALICE, "This database has no rotation with this ID", "This press rotated nothing", since=since
            )
            assert pressed.status == 200
        since = len(slack.messages)
        await slack.presses(ALICE, mine, CONFIRM, value=id_on(others))
        await slack.sees(ALICE, "Only the person who requested", since=since)
        since = len(slack.messages)
        await slack.presses(ALICE, mine, "rotation:invented", value=id_on(mine))
        await slack.sees(ALICE, "from another version of the bot", since=since)
        await slack.presses(ALICE, mine, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")

        assert "Traceback" not in bot.output
        assert '"event": "bug"' not in bot.output
        assert turso.calls_to_rotate() == turso.calls_to_rotate("payments") == 1
        assert others.buttons == [CONFIRM, CANCEL]
        rows = await trail()
        assert rows.count("rotation.denied") == len(values) + 1
        assert rows[-2:] == ["rotation.started", "rotation.succeeded"]

    @pytest.mark.fault("F27")
    async def test_odd_names_get_clear_words_and_reach_no_other_path(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
    ) -> None:
        for name, words in ODD_NAMES.items():
            since = len(slack.messages)
            typed = await slack.types(ALICE, f"/turso-rotate {name}")
            told = await slack.sees(ALICE, words, since=since)
            assert typed.status == 200, name
            assert len(told.plain) < 1000, name
        odd = ("payload", "payload-db", "PAYMENTZ", "channel")  # the last one in <!channel>
        paths = ("groups/{}", "databases?group={}", "databases/{}")
        looks = {path.format(name) for path in paths for name in (*odd, "paymentz")} | {"groups"}

        assert "Traceback" not in bot.output
        assert {request.method for request in turso.requests} == {"GET"}
        assert {request.path for request in turso.requests} <= {f"/v1/organizations/acme/{look}" for look in looks}
        assert set(await trail()) == {"rotation.rejected"}
        assert len(await trail()) == len(ODD_NAMES) - 3

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F28")
    async def test_a_hostile_reason_is_inert_and_cut(
        self, slack: LocalSlack, turso: LocalTurso, settings: dict[str, str], tmp_path: Path
    ) -> None:
        reason = (
            "ticket: 42 <!channel> <@U0B0B0002> <https://evil.example|click> `code` *bold* "
            "\x00\x1b[31m\r\n\u202egnitset 🔥 payload=1&a=b% "
        )
        card = await asks(slack, ALICE, "payments " + reason + "x" * 10_000)
        await slack.presses(ALICE, card, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")
        asked = card.versions[0]
        told = await slack.sees(None, "ticket: 42 <!channel>", channel="C0AUDIT")
        _, out, _ = await run(settings, tmp_path, "audit", "show", id_on(card), "--format", "json")
        stored = json.loads(out)[0]["detail"]["reason"]

        for blocks in (asked.blocks, told.blocks):
            shown = json.dumps(blocks, ensure_ascii=False)
            assert all("evil" not in text and "channel>" not in text for text in mrkdwn(blocks))
            assert "ticket: 42 <!channel>" in shown
            assert not re.search("[\x00\x1b\u202e]", shown)
        assert "evil" not in asked.text + told.text
        assert stored.startswith("ticket: 42 <!channel> <@U0B0B0002> <https://evil.example|click> `code` *bold* ")
        assert len(stored) == 500
        assert turso.calls_to_rotate() == 1


def actor(person: Person) -> Actor:
    return Actor(TeamId(person.team_id), UserId(person.user_id))
