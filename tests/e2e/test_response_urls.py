"""A signed payload may name any URL for replies; the bot posts to Slack's only."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, Trail, asks
from tests.process import BotProcess

pytestmark = pytest.mark.databases("sqlite")

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
SECRET = "a-capability-of-somebody"
STRANGE = [
    "http://127.0.0.1:{stranger}/response/{secret}",
    "http://localhost:{stranger}/response/{secret}",
    "https://127.0.0.1:{stranger}/response/{secret}",
    "http://127.0.0.1:{slack}@127.0.0.1:{stranger}/response/{secret}",
    "http://hooks.slack.com:x@127.0.0.1:{stranger}/response/{secret}",
    "https://hooks.slack.com@127.0.0.1:{stranger}/response/{secret}",
    "http://127.0.0.1:{stranger}#@127.0.0.1:{slack}/response/{secret}",
    "http://127.0.0.1:{stranger}?@127.0.0.1:{slack}/response/{secret}",
    "http://127.0.0.1:{stranger}\\@127.0.0.1:{slack}/response/{secret}",
    "HTTP://127.0.0.1:{stranger}/response/{secret}",
    "http:///127.0.0.1:{stranger}/response/{secret}",
    "//127.0.0.1:{stranger}/response/{secret}",
    "https://127.0.0.1:{slack}/response/{secret}",
]


class Stranger:
    """Counts who connects."""

    def __init__(self) -> None:
        self.visits = 0
        self.port = 0

    async def hears(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        writer.close()


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    stranger = Stranger()
    server = await asyncio.start_server(stranger.hears, "127.0.0.1", 0)
    stranger.port = server.sockets[0].getsockname()[1]
    yield stranger
    server.close()


def urls(slack: LocalSlack, stranger: Stranger) -> list[str]:
    """Return URLs that lead to the stranger, or in another way than Slack's."""
    ports = {"stranger": stranger.port, "slack": urlsplit(slack.api_url).port}
    return [each.format(**ports, secret=SECRET) for each in STRANGE]


@pytest.mark.fault("F67")
async def test_a_reply_to_a_press_goes_to_no_stranger(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail, stranger: Stranger
) -> None:
    strange = urls(slack, stranger)
    for url in strange:
        card = await asks(slack, ALICE, "payments")
        slack.calls.clear()
        since = len(slack.messages)
        await slack.presses(ALICE, card, CANCEL, response_url=url)
        told = await slack.sees(ALICE, "Cancelled", since=since)

        assert (told.via, told.ephemeral_to) == ("chat.postEphemeral", ALICE.user_id), url
        assert {call.method for call in slack.calls} == {"chat.postEphemeral"}
    await bot.logs("response_url ignored")

    assert stranger.visits == 0
    assert SECRET not in bot.output
    assert bot.output.count("response_url ignored") == len(strange)
    assert (await trail()).count("rotation.cancelled") == len(strange)


@pytest.mark.fault("F67")
async def test_a_reply_to_a_command_goes_to_no_stranger(
    slack: LocalSlack, bot: BotProcess, trail: Trail, stranger: Stranger
) -> None:
    typed = await slack.types(ALICE, "/turso-rotate help")
    await slack.called("response_url")
    for command in ("/turso-rotate", "/turso-audit"):
        since = len(slack.messages)
        changed = {"command": command, "text": "help", "trigger_id": f"1.2.{command}"}
        strange = {"response_url": urls(slack, stranger)[0]}
        await slack.delivers("slash_commands", typed.request.payload | changed | strange)
        told = await slack.sees(ALICE, command, since=since)

        assert told.via == "chat.postEphemeral"
    assert stranger.visits == 0
    assert SECRET not in bot.output


@pytest.mark.fault("F67")
async def test_a_whole_rotation_goes_to_no_stranger(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, stranger: Stranger
) -> None:
    card = await asks(slack, ALICE, "payments")
    slack.fail("chat.postEphemeral", error="user_not_in_channel")
    await slack.presses(ALICE, card, CONFIRM, response_url=urls(slack, stranger)[0])
    done = await slack.sees(ALICE, "Done: the tokens of payments are rotated", timeout=10)

    assert (done.via, done.channel[0]) == ("chat.postMessage", "D")
    assert stranger.visits == 0
    assert turso.calls_to_rotate() == 1
    assert SECRET not in bot.output
