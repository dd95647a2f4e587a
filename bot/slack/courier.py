"""Run the errands that the outbox holds: tell the requester, tell the channel, and try again until it worked."""

from collections.abc import Callable

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import DatabaseError
from bot.models import Actor, ChannelId, Errand, Rotation
from bot.ports import Letter, Outbox, RotationStore
from bot.slack import messages
from bot.slack.replies import FAILURES, Reply

TAKEN_SECONDS = 60.0
"""How long a replica may run an errand before another one takes it."""
GIVE_UP_ATTEMPTS = 150
"""With the longest pause of ten minutes between two attempts, about a day."""
_LONGEST_PAUSE_SECONDS = 600.0
_NEVER = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action", "invalid_arguments"})

log = structlog.get_logger(__name__)


class Courier:
    """Tells people what the outbox says they should know."""

    def __init__(
        self,
        outbox: Outbox,
        rotations: RotationStore,
        *,
        web: AsyncWebClient,
        reply_to: Callable[[Actor, ChannelId], Reply],
        audit_channel: ChannelId | None,
    ) -> None:
        self._outbox = outbox
        self._rotations = rotations
        self._web = web
        self._reply_to = reply_to
        self._audit_channel = audit_channel

    async def tell(self, rotation: Rotation, reply: Reply | None = None) -> None:
        """Run the errands of a rotation that has just ended, over the reply at hand if there is one.

        Without the database the card is settled all the same, and the errands stay for later.
        """
        reply = reply or self._reply_to(rotation.requester, rotation.channel_id)
        try:
            for letter in await self._outbox.of(rotation.id):
                await self._run(letter, rotation, reply)
        except DatabaseError as error:
            log.warning("errands are left for later", rotation=rotation.id, why=str(error))
            await reply.settle(messages.outcome(rotation))

    async def run_due(self) -> None:
        """Run every errand that is due; another replica, or this one before, did not get it done."""
        while await self._outbox.any_due():
            letter = await self._outbox.take(TAKEN_SECONDS)
            if letter is None:
                return
            rotation = await self._rotations.get(letter.rotation_id)
            if rotation is None:
                await self._outbox.done(letter)
                continue
            await self._run(letter, rotation, self._reply_to(rotation.requester, rotation.channel_id))

    async def _run(self, letter: Letter, rotation: Rotation, reply: Reply) -> None:
        pause = min(2.0**letter.attempts, _LONGEST_PAUSE_SECONDS)
        try:
            told = await (
                self._card(rotation, reply) if letter.errand is Errand.CARD else self._announce(rotation, reply)
            )
        except FAILURES as error:
            told, pause = False, max(pause, _retry_after(error))
        if told:
            await self._outbox.done(letter)
        elif letter.attempts >= GIVE_UP_ATTEMPTS:
            log.error("given up telling people", rotation=rotation.id, errand=str(letter.errand))
            await self._outbox.done(letter)
        else:
            await self._outbox.put_off(letter, pause)

    @staticmethod
    async def _card(rotation: Rotation, reply: Reply) -> bool:
        return await reply.settle(messages.outcome(rotation))

    async def _announce(self, rotation: Rotation, reply: Reply) -> bool:
        channel = self._audit_channel or rotation.channel_id
        if channel.startswith("D"):
            return True  # a direct message has nobody else to tell
        message = messages.announcement(rotation)
        try:
            await self._web.chat_postMessage(channel=channel, **message.payload())
        except SlackApiError as error:
            if error.response.get("error") not in _NEVER:
                raise
            return await self._announce_elsewhere(rotation, reply, channel)
        return True

    async def _announce_elsewhere(self, rotation: Rotation, reply: Reply, channel: ChannelId) -> bool:
        """Where the bot may not post, the `response_url` of the press still reaches the channel it was typed in."""
        log.warning("cannot announce in channel", channel=channel, rotation=rotation.id)
        if channel == rotation.channel_id and await reply.show_channel(messages.announcement(rotation)):
            return True
        return await reply.say(messages.not_announced(channel))


def _retry_after(error: BaseException) -> float:
    headers = error.response.headers if isinstance(error, SlackApiError) else {}
    value = str(headers.get("Retry-After", "0"))
    return float(value) if value.isascii() and value.isdigit() else 0.0
