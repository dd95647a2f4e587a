"""Slack is slow, down, forgetful or cut off: outcomes stand, and people hear of them once."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from aiohttp import ClientSession
from sqlalchemy import make_url

from bot.sandbox.faults import Fault, FixedResponse
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.sockets import DisconnectReason
from tests.e2e.conftest import ALICE, BOB, MALLORY, Trail, announced, asks
from tests.process import BotProcess, run

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]


@pytest.mark.parametrize("trouble", [{"status": 404}, {"status": 500}, {"drop": True}], ids=["404", "500", "dropped"])
@pytest.mark.fault("F22")
async def test_a_dead_response_url_gives_way_to_an_ephemeral_and_that_to_a_direct_message(
    trouble: dict[str, Any], slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    slack.fail("response_url", **trouble)
    card = await asks(slack, ALICE, "payments")
    slack.fail("chat.postEphemeral", error="user_not_in_channel")
    await slack.presses(ALICE, card, CONFIRM)
    done = await slack.sees(ALICE, "Done: the tokens of payments are rotated")
    await slack.sees(None, "rotated the tokens of", channel="C0AUDIT")

    assert card.via == "chat.postEphemeral"
    assert done.via == "chat.postMessage"
    assert done.channel.startswith("D")
    assert turso.calls_to_rotate() == 1
    assert await trail() == STORY


@pytest.mark.fault("F22")
async def test_a_response_url_that_was_used_up(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    typed = await slack.types(ALICE, "/turso-rotate payments")
    card = await slack.sees(ALICE, "Rotate the tokens of payments?")
    async with ClientSession() as session:
        for _ in range(4):
            async with session.post(typed.response_url or "", json={"text": "used"}) as answer:
                assert answer.status == 200
    await slack.presses(ALICE, card, CONFIRM, response_url=typed.response_url)
    done = await slack.sees(ALICE, "Done: the tokens of payments are rotated")

    assert done.via == "chat.postEphemeral"
    assert await trail() == STORY


@pytest.mark.fault("F23")
async def test_an_announcement_that_slack_limits_arrives_later_once(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    slack.fail("chat.postMessage", retry_after=1, times=2)
    slack.fail("chat.postMessage", status=503, times=1)
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await slack.sees(ALICE, "Done: the tokens of payments are rotated")
    rows = await trail()
    await slack.sees(None, "@alice rotated the tokens of", channel="C0AUDIT", timeout=20)
    calls = await slack.called("chat.postMessage", 4)
    paused = [later.at - call.at for call, later in pairwise(calls)]
    other = await asks(slack, ALICE, "default")  # a whole story later nothing was said twice
    await slack.presses(ALICE, other, CONFIRM)
    await slack.sees(None, "rotated the tokens of `default`", channel="C0AUDIT")

    assert rows == STORY
    assert min(paused[:2]) >= 1
    assert len(announced(slack, "payments")) == 1
    assert turso.calls_to_rotate("payments") == 1


@pytest.mark.fault("F23")
async def test_slack_down_during_the_call(slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail) -> None:
    turso.inject(Fault(delay=0.5))
    card = await asks(slack, ALICE, "payments")
    await slack.presses(ALICE, card, CONFIRM)
    await turso.reached()
    await slack.go_offline()
    await bot.logs("rotation ended")
    await bot.logs("connection to Slack lost")
    rows = await trail()
    await slack.go_online()
    await slack.sees(ALICE, "Done: the tokens of payments are rotated", timeout=20)
    await slack.sees(None, "@alice rotated the tokens of", channel="C0AUDIT", timeout=20)
    await slack.connected(timeout=20)
    await slack.presses(ALICE, card, CONFIRM)  # the card on the screen is stale
    await slack.sees(ALICE, "Done: the tokens of payments are rotated", since=card.position)

    assert rows == STORY
    assert len(announced(slack)) == 1
    assert turso.calls_to_rotate() == 1


async def works(slack: LocalSlack, group: str) -> None:
    """See that the bot gets what people type, and answers it."""
    since = len(slack.messages)
    typed = await slack.types(ALICE, f"/turso-rotate {group}")
    await slack.sees(ALICE, f"no group called `{group}`", since=since)
    assert typed.status == 200


@pytest.mark.parametrize("reason", get_args(DisconnectReason))
@pytest.mark.fault("F24")
async def test_a_socket_that_slack_ends_for_any_reason_comes_back(
    reason: DisconnectReason, slack: LocalSlack, turso: LocalTurso, bot: BotProcess
) -> None:
    await works(slack, "first")
    opened = len(await slack.called("apps.connections.open"))
    await slack.disconnect(reason)
    await slack.called("apps.connections.open", opened + 1, timeout=10)
    await slack.connected(timeout=10)
    await works(slack, "afterwards")

    assert turso.calls_to_rotate() == 0


@pytest.mark.fault("F24")
async def test_a_lost_socket_comes_back(slack: LocalSlack, turso: LocalTurso, bot: BotProcess) -> None:
    await works(slack, "first")
    slack.drop_connections()
    await slack.connected(0)
    await slack.connected(timeout=10)
    await works(slack, "after-a-drop")

    slack.refuse_sockets(2)  # their tickets are used up
    slack.drop_connections()
    await slack.connected(0)
    await slack.connected(timeout=15)
    await works(slack, "after-refusals")

    await slack.go_offline()
    await bot.logs("connection to Slack lost")
    await asyncio.sleep(2)  # the outage itself
    await slack.go_online()
    await slack.connected(timeout=10)
    await works(slack, "after-an-outage")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SLACK_APP_TOKEN": "xapp-wrong"}, "Slack does not accept SLACK_APP_TOKEN (invalid_auth)"),
        ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "Slack does not accept SLACK_BOT_TOKEN (invalid_auth)"),
        ({"SLACK_API_URL": "http://127.0.0.1:9/api/"}, "Slack cannot be reached"),
    ],
    ids=["app-token", "bot-token", "nobody-there"],
)
@pytest.mark.fault("F24")
async def test_a_wrong_token_fails_at_the_start(
    changes: dict[str, str], words: str, slack: LocalSlack, settings: dict[str, str], tmp_path: Path
) -> None:
    code, _, err = await run(settings, tmp_path, "serve")

    assert code == 1
    assert words in " ".join(err.split())
    assert "Traceback" not in err
    assert not any(value in err for name, value in changes.items() if name.endswith("TOKEN"))


@pytest.mark.modes("http", "socket")
@pytest.mark.databases("sqlite", "postgresql")
class TestSecrets:
    @pytest.fixture
    def database_url(self, request: pytest.FixtureRequest, database_kind: str) -> str:
        if database_kind == "sqlite":
            return str(request.getfixturevalue("sqlite_url"))
        url = make_url(str(request.getfixturevalue("postgres_url")))
        return url.set(password="local-database-password").render_as_string(hide_password=False)

    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {
            "LOG_LEVEL": "debug",
            "AUDIT_KEY": "local-audit-key-that-is-long-enough",
            "TURSO_GROUP_TOKENS": '{"default": "local-default-token"}',
            "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=local-collector-key",
        }

    @pytest.mark.fault("F30")
    async def test_a_busy_story_prints_no_secret(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str]
    ) -> None:
        deliveries = [await slack.types(ALICE, "/turso-rotate payments key leaked")]
        card = await slack.sees(ALICE, "Rotate the tokens of payments?")
        deliveries.append(await slack.presses(BOB, card, CONFIRM))
        deliveries.append(await slack.types(MALLORY, "/turso-rotate payments"))
        deliveries.append(await slack.redelivers(deliveries[0]))
        turso.inject(FixedResponse(500, b'{"error": "Bearer local-turso-token"}'), times=1)
        slack.fail("response_url", drop=True, times=1)
        slack.fail("chat.postEphemeral", error="internal_error", times=1)
        slack.fail("chat.postMessage", retry_after=1, times=2)
        deliveries.append(await slack.presses(ALICE, card, CONFIRM))
        await slack.sees(ALICE, "Unknown: the tokens of payments", timeout=10)
        dead = "http://127.0.0.1:9/response/nobody-listens-here"
        deliveries.append(await slack.presses(ALICE, card, CONFIRM, value="\ud800", response_url=dead))
        deliveries.append(await slack.opens_home(ALICE))
        slack.drop_connections()
        await slack.sees(None, "Whether that happened is unknown", channel="C0AUDIT", timeout=20)
        await slack.connected(0 if slack.request_url else 1)
        other = await asks(slack, ALICE, "default")  # Turso does not know the token of this group
        deliveries.append(await slack.presses(ALICE, other, CONFIRM))
        await slack.sees(ALICE, "Failed: the tokens of default", timeout=10)
        await bot.kills()
        capabilities = {
            each for delivery in deliveries for each in (delivery.response_url, delivery.trigger_id) if each
        }
        opaque = {each.rpartition("/")[2] for each in capabilities}
        secret = {value for name, value in settings.items() if name.endswith(("TOKEN", "SECRET", "KEY"))}
        secret |= {"local-default-token", "local-collector-key", "local-database-password"}

        assert len(secret) == 4 + 3
        assert len(opaque) >= 10
        assert '"level": "debug"' in bot.output
        for each in (*secret, *capabilities, *opaque, "local-verification-token"):
            assert each not in bot.output
        assert "ticket=" not in bot.output.replace("ticket=[redacted]", "")
