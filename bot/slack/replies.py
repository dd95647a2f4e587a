"""Reply to one person: over the `response_url`, else with an ephemeral message, else with a direct message."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.models import Actor, ChannelId
from bot.slack.blocks import Block, Message
from bot.slack.payloads import ResponseUrl

_OK = 200
_TRIES = 2
_CLOSED = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)  # a kept-alive connection that Slack has closed

log = structlog.get_logger(__name__)

FAILURES = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)
"""What Slack's client raises when Slack or the network fails."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A way to answer the person who typed or pressed something. It has no `repr`: the URL is a capability."""

    web: AsyncWebClient
    session: aiohttp.ClientSession
    reader: Actor
    channel_id: ChannelId
    response_url: ResponseUrl | None = None
    remark: Block | None = None
    """What every message begins with."""

    async def send(self, message: Message) -> bool:
        """Show a new message to the reader alone; return whether Slack accepted it."""
        return await self._try(message, replace_original=False)

    async def replace(self, message: Message) -> bool:
        """Replace the card that was pressed or, if that is not possible, show a new message."""
        return await self._try(message, replace_original=True)

    async def deliver(self, message: Message, *, replace_original: bool) -> None:
        """Do the same, but raise the last of `FAILURES` if Slack did not accept it in any way."""
        if self.remark is not None:
            message = Message(message.text, (self.remark, *message.blocks))
        if not await self._respond(message, replace_original=replace_original):
            await self._send_otherwise(message)

    async def show_channel(self, message: Message) -> bool:
        """Show a message to the whole channel, even if the bot is not a member."""
        body = {**message.payload(), "response_type": "in_channel", "replace_original": False}
        return await self._post(body)

    async def _respond(self, message: Message, *, replace_original: bool) -> bool:
        body = {**message.payload(), "response_type": "ephemeral", "replace_original": replace_original}
        return await self._post(body)

    async def _post(self, body: dict[str, object]) -> bool:
        if self.response_url is None:
            return False
        # Slack's webhook client takes a tenth of a command's processor time more, and would follow redirects.
        options: dict[str, Any] = {"json": body, "proxy": self.web.proxy, "allow_redirects": False}
        for _ in range(_TRIES):
            try:
                async with self.session.post(self.response_url, **options) as answer:
                    return answer.status == _OK
            except _CLOSED:
                continue
            except FAILURES:
                break
        return False

    async def _try(self, message: Message, *, replace_original: bool) -> bool:
        try:
            await self.deliver(message, replace_original=replace_original)
        except FAILURES as error:
            log.warning("reply not delivered", channel=self.channel_id, error=type(error).__name__)
            return False
        return True

    async def _send_otherwise(self, message: Message) -> None:
        try:
            await self.web.chat_postEphemeral(channel=self.channel_id, user=self.reader.user_id, **message.payload())
        except FAILURES:
            await self.web.chat_postMessage(channel=self.reader.user_id, **message.payload())


ReplyTo = Callable[[Actor, ChannelId, ResponseUrl | None], Reply]
"""Makes a `Reply`; the last argument is the `response_url`."""
