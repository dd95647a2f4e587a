"""What is posted to a `response_url`: delivered or not, never anywhere else, and never an exception."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.models import Actor, ChannelId, TeamId, UserId
from bot.slack.blocks import Message
from bot.slack.payloads import ResponseUrl
from bot.slack.replies import Reply

MESSAGE = Message("Done.", ())
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Slack:
    """Answers each request with the next of `answers`; where there is none, it ends the connection unanswered."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while answer := await self._answer(reader):
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass  # the bot has ended it
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
        self.paths.append(head.split()[1])
        return self.answers.pop(0) if self.answers else b""


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    slack = Slack()
    server = await asyncio.start_server(slack.serve, "127.0.0.1", 0)
    slack.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret"
    yield slack
    server.close()


@pytest.fixture
async def reply(slack: Slack) -> AsyncIterator[Reply]:
    async with aiohttp.ClientSession() as session:
        actor = Actor(TeamId("T012AB3CD"), UserId("U0ALICE01"))
        url = ResponseUrl(slack.url)
        yield Reply(AsyncWebClient("xoxb-local"), session, actor, ChannelId("C0INCIDENT"), url)


async def test_a_message_that_slack_took(slack: Slack, reply: Reply) -> None:
    slack.answers = [OK]

    assert await reply.show_channel(MESSAGE)


async def test_a_redirect_is_not_followed(slack: Slack, reply: Reply) -> None:
    slack.answers = [b"HTTP/1.1 307 Elsewhere\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n", OK]

    assert not await reply.show_channel(MESSAGE)
    assert slack.paths == ["/secret"]


async def test_a_connection_that_slack_ended_is_made_anew_once(slack: Slack, reply: Reply) -> None:
    slack.answers = [OK, b"", OK]

    assert await reply.show_channel(MESSAGE)
    assert await reply.show_channel(MESSAGE)
    assert not await reply.show_channel(MESSAGE)
    assert len(slack.paths) == 1 + 2 + 2
