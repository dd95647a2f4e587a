"""Say something to one person: through the `response_url`, else as an ephemeral message, else directly."""

from dataclasses import dataclass

import aiohttp
import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.models import Actor, ChannelId
from bot.slack.blocks import Message

_OK = 200

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
        return await self._respond(message, replace_original=False) or await self._elsewhere(message)

    async def settle(self, message: Message) -> bool:
        """Replace the card that was pressed, or say it anew where that is not possible."""
        return await self._respond(message, replace_original=True) or await self._elsewhere(message)

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
        client = AsyncWebhookClient(self.response_url, session=self.session)
        try:
            return (await client.send_dict(body)).status_code == _OK
        except FAILURES:
            return False

    async def _elsewhere(self, message: Message) -> bool:
        try:
            await self.web.chat_postEphemeral(channel=self.channel_id, user=self.reader.user_id, **message.payload())
        except FAILURES:
            return await self._directly(message)
        return True

    async def _directly(self, message: Message) -> bool:
        try:
            await self.web.chat_postMessage(channel=self.reader.user_id, **message.payload())
        except FAILURES as error:
            log.warning("a reply could not be delivered", channel=self.channel_id, error=type(error).__name__)
            return False
        return True
