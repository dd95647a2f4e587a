"""Say something to one person: through the `response_url`, else as an ephemeral message, else directly."""

from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.models import Actor, ChannelId
from bot.slack.blocks import Message

_OK = 200
_TRIES = 2
_CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)  # what a kept connection that Slack has ended says

log = structlog.get_logger(__name__)

FAILURES = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)
"""What may come out of Slack's client when Slack or the network misbehave."""


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A way back to the person who typed or pressed something; has no `repr`, as the URL is a capability."""

    web: AsyncWebClient
    session: aiohttp.ClientSession
    reader: Actor
    channel_id: ChannelId
    response_url: str | None = None

    async def say(self, message: Message) -> bool:
        """Show a new message that only the reader sees; says whether Slack took it."""
        return await self._tried(message, replace_original=False)

    async def settle(self, message: Message) -> bool:
        """Replace the card that was pressed, or say it anew where that is not possible."""
        return await self._tried(message, replace_original=True)

    async def deliver(self, message: Message, *, replace_original: bool) -> None:
        """Do the same, but raise the last of `FAILURES` where Slack took it in no way."""
        if not await self._respond(message, replace_original=replace_original):
            await self._elsewhere(message)

    async def show_channel(self, message: Message) -> bool:
        """Show a message to the whole channel, also where the bot is no member."""
        body = {**message.payload(), "response_type": "in_channel", "replace_original": False}
        return await self._post(body)

    async def _respond(self, message: Message, *, replace_original: bool) -> bool:
        return await self._post(
            {**message.payload(), "response_type": "ephemeral", "replace_original": replace_original}
        )

    async def _post(self, body: dict[str, object]) -> bool:
        if self.response_url is None:
            return False
        # Slack's webhook client costs a tenth of a command's processor time more, and would follow redirects.
        options: dict[str, Any] = {"json": body, "proxy": self.web.proxy, "allow_redirects": False}
        for _ in range(_TRIES):
            try:
                async with self.session.post(self.response_url, **options) as answer:
                    return answer.status == _OK
            except _CUT:
                continue
            except FAILURES:
                break
        return False

    async def _tried(self, message: Message, *, replace_original: bool) -> bool:
        try:
            await self.deliver(message, replace_original=replace_original)
        except FAILURES as error:
            log.warning("a reply could not be delivered", channel=self.channel_id, error=type(error).__name__)
            return False
        return True

    async def _elsewhere(self, message: Message) -> None:
        try:
            await self.web.chat_postEphemeral(channel=self.channel_id, user=self.reader.user_id, **message.payload())
        except FAILURES:
            await self.web.chat_postMessage(channel=self.reader.user_id, **message.payload())
