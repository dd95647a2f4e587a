"""What operators watch: `/metrics` of the real process."""

import asyncio

import pytest
from aiohttp import ClientSession

from bot.sandbox.faults import FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, BOB, MALLORY, asks, connect
from tests.e2e.scraping import scrape
from tests.postgres import PostgresServer
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("http"), pytest.mark.databases("sqlite")]

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"


@pytest.mark.modes("http", "socket")
class TestAStory:
    async def test_a_story_is_counted_and_names_nobody(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], mode: str
    ) -> None:
        turso.organization.groups |= {"spare": (), "other": ()}
        done = await asks(slack, ALICE, "payments because")
        cancelled, unknown = [await asks(slack, ALICE, f"{group} because") for group in ("default", "spare")]
        await asks(slack, ALICE, "other because")
        await slack.types(ALICE, "/turso-rotate nowhere")
        await slack.types(ALICE, "/turso-rotate ../x")
        await slack.types(MALLORY, "/turso-rotate payments")
        await slack.presses(BOB, done, CONFIRM)
        await slack.presses(ALICE, done, CONFIRM)
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")
        await slack.presses(ALICE, cancelled, CANCEL)
        await slack.sees(ALICE, "Cancelled")
        turso.inject(FixedResponse(500, b"{}"))
        await slack.presses(ALICE, unknown, CONFIRM)
        await slack.sees(ALICE, "Unknown: the tokens of spare")
        await slack.presses(ALICE, unknown, CONFIRM)
        await slack.called("chat.postMessage", 2)
        await slack.called("response_url", 14)  # the answer to the stale press is the last
        await slack.sees(ALICE, "That is not a group name")
        await slack.sees(MALLORY, "not on the allowlist")
        await slack.sees(BOB, "Only the person who requested")
        seen = await scrape(bot)
        await bot.kills()
        await bot.start()
        await connect(slack, bot, settings)
        after = await scrape(bot)

        assert seen["requests_total"] == 4
        assert {state: seen[f'outcomes_total{{state="{state}"}}'] for state in ("succeeded", "unknown", "failed")} == {
            "succeeded": 1,
            "unknown": 1,
            "failed": 0,
        }
        assert seen['outcomes_total{state="cancelled"}'] == 1
        reasons = {each.labels["reason"]: each.value for each in seen.samples if each.name.endswith("refusals_total")}
        assert {reason: count for reason, count in reasons.items() if count} == {
            "not_allowed": 1,
            "not_yours": 1,
            "malformed": 1,
            "no_such_group": 1,
            "already_decided": 1,
        }
        assert seen[f'ack_seconds_count{{transport="{mode}"}}'] == 12
        assert seen[f'ack_seconds_bucket{{transport="{mode}",le="1.0"}}'] == 12
        assert seen['press_to_outcome_seconds_count{state="succeeded"}'] == 1
        assert 0 < seen['press_to_outcome_seconds_sum{state="succeeded"}'] < 5
        assert seen['turso_request_seconds_count{call="rotate",status="2xx"}'] == 1
        assert seen['turso_request_seconds_count{call="rotate",status="5xx"}'] == 1
        assert seen['turso_request_seconds_count{call="read",status="2xx"}'] >= 2
        assert seen["ready"] == 1
        assert seen["sweeper_lag_seconds"] < 5
        assert after['pending{state="requested"}'] == 1  # what waits is counted at the start, then each 15 seconds
        assert after["unknown_unresolved"] == 1
        assert after["outbox_depth"] == 0
        for named in ("payments", "because", ALICE.user_id, MALLORY.user_id, "T012AB3CD", "acme", "C0AUDIT"):
            assert named not in seen.page


async def test_what_slack_did_not_sign_is_counted(slack: LocalSlack, bot: BotProcess) -> None:
    async with ClientSession() as session:
        for signature in ("v0=00", "v0=ü"):
            headers = {"X-Slack-Request-Timestamp": "1", "X-Slack-Signature": signature}
            async with session.post(f"http://127.0.0.1:{bot.port}/slack/events", data=b"x", headers=headers) as answer:
                assert answer.status == 401
    seen = await scrape(bot, "application/openmetrics-text;version=1.0.0")

    assert seen["signature_failures_total"] == 2
    assert seen['ack_seconds_count{transport="http"}'] == 0
    assert seen.page.endswith("# EOF\n")


@pytest.mark.modes("socket")
class TestSocketMode:
    async def test_a_connection_that_was_replaced_is_counted(self, slack: LocalSlack, bot: BotProcess) -> None:
        before = await scrape(bot)
        slack.drop_connections()
        await slack.connected(0)
        await bot.logs("connection to Slack lost")
        lost = await scrape(bot)
        await slack.connected(timeout=10)
        await bot.logs("connection to Slack is back")
        back = await scrape(bot)

        assert [each["ready"] for each in (before, lost, back)] == [1, 0, 1]
        assert [each["socket_reconnects_total"] for each in (before, lost, back)] == [0, 0, 1]


@pytest.mark.databases("postgresql")
class TestPostgres:
    async def test_a_scrape_does_without_the_database(
        self, slack: LocalSlack, bot: BotProcess, postgres_server: PostgresServer
    ) -> None:
        await asks(slack, ALICE, "payments")
        await asyncio.to_thread(postgres_server.stop)
        await bot.logs("database unavailable")
        began = asyncio.get_running_loop().time()
        seen = await scrape(bot)
        took = asyncio.get_running_loop().time() - began
        await asyncio.to_thread(postgres_server.start)
        await bot.logs("database available again")
        back = await scrape(bot)

        assert took < 1
        assert seen["ready"] == 0
        assert seen['database_errors_total{kind="unavailable"}'] > 0
        assert seen["requests_total"] == 1
        assert back["ready"] == 1
