"""Run the errands that the outbox holds: tell the requester, tell the channel, and try again until it worked."""

import asyncio
from collections.abc import Callable

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import DatabaseError
from bot.domain.models import SYSTEM, Action, Actor, ChannelId, Event, Head, NotificationKind, Rotation, State
from bot.domain.ports import Notification, Outbox, RotationStore, Trail
from bot.ops.metrics import Metrics
from bot.slack.replies import FAILURES, Reply
from bot.slack.rotate import card, outcome
from bot.trail.records import rfc3339

TAKEN_SECONDS = 60.0
"""How long a replica may run an errand before another one takes it."""
_ATTEMPT_SECONDS = 25.0  # a rotation has two errands, taken together
_LONGEST_PAUSE_SECONDS = 600.0
_LONGEST_RETRY_AFTER_SECONDS = 24 * 60 * 60.0
_NO_WAY_IN = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action"})

log = structlog.get_logger(__name__)


class Notifier:
    """Tells people what the outbox says they should know."""

    def __init__(  # noqa: PLR0913 - one argument for each port, and where to write
        self,
        outbox: Outbox,
        rotations: RotationStore,
        trail: Trail,
        *,
        web: AsyncWebClient,
        reply_to: Callable[[Actor, ChannelId], Reply],
        audit_channel: ChannelId | None,
        metrics: Metrics,
    ) -> None:
        self._outbox = outbox
        self._rotations = rotations
        self._trail = trail
        self._web = web
        self._reply_to = reply_to
        self._audit_channel = audit_channel
        self._metrics = metrics
        self._silent_until = 0.0  # on the loop's clock: Slack asked to be left alone

    async def tell(self, rotation: Rotation, reply: Reply | None = None) -> bool:
        """Run the errands of a rotation that has just ended, over the reply at hand if there is one.

        Without the database the card is settled all the same, and the errands stay for later. Says whether the
        requester was among those to be told.
        """
        reply = reply or self._reply_to(rotation.requester, rotation.channel_id)
        try:
            letters = await self._outbox.take_for(rotation.id, TAKEN_SECONDS)
            if letters and rotation.state is State.UNKNOWN:
                # The one end that is not the last: the truth may have come on record since, with these errands.
                rotation = await self._rotations.get(rotation.id) or rotation
            for letter in letters:
                await self._run(letter, rotation, reply)
        except DatabaseError as error:
            log.warning("errands are left for later", rotation=rotation.id, why=str(error))
            await reply.settle(outcome.ended(rotation))
            return True
        return any(letter.errand is NotificationKind.CARD for letter in letters)

    async def run_due(self) -> None:
        """Run every errand that is due; another replica, or this one before, did not get it done."""
        while self._silence() <= 0 and await self._outbox.any_due():
            letter = await self._outbox.take(TAKEN_SECONDS)
            if letter is None:
                return
            rotation = await self._rotations.get(letter.rotation_id)
            if rotation is not None:
                await self._run(letter, rotation, self._reply_to(rotation.requester, rotation.channel_id))

    async def _run(self, letter: Notification, rotation: Rotation, reply: Reply) -> None:
        is_card = letter.errand is NotificationKind.CARD
        if not is_card and (silence := self._silence()) > 0:
            await self._outbox.put_off(letter, silence)
            return
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                await (self._settle(rotation, reply) if is_card else self._announce(letter, rotation, reply))
        except FAILURES as error:
            await self._failed(letter, rotation, error)
        except Exception as error:
            log.exception("bug while telling people", rotation=rotation.id, errand=str(letter.errand))
            await self._failed(letter, rotation, error)
        else:
            log.info("card settled" if is_card else "announced", rotation=rotation.id, attempts=letter.attempts)
            await self._outbox.done(letter)

    async def _failed(self, letter: Notification, rotation: Rotation, error: Exception) -> None:
        """Try again later: in ever longer pauses, never sooner than Slack said, and for a day."""
        asked = _retry_after(error)
        self._silent_until = max(self._silent_until, asyncio.get_running_loop().time() + asked)
        if letter.overdue:
            await self._give_up(letter, rotation, _words(error))
            return
        pause = max(asked, min(2.0 ** min(letter.attempts, 16), _LONGEST_PAUSE_SECONDS))
        await self._outbox.put_off(letter, pause)
        log.warning("not told yet", rotation=rotation.id, errand=str(letter.errand), why=_words(error), seconds=pause)

    async def _give_up(self, letter: Notification, rotation: Rotation, why: str) -> None:
        facts = {"errand": str(letter.errand), "why": why, "attempts": letter.attempts}
        detail = {**facts, "since": rfc3339(letter.created_at)}
        event = Event(Action.GIVEN_UP, SYSTEM, rotation.organization, rotation.group, rotation.id, detail)
        if await self._outbox.give_up(letter, event):
            self._metrics.given_up(letter.errand)
            log.error("given up telling people", rotation=rotation.id, **facts)

    @staticmethod
    async def _settle(rotation: Rotation, reply: Reply) -> None:
        await reply.deliver(outcome.ended(rotation), replace_original=True)

    async def _announce(self, letter: Notification, rotation: Rotation, reply: Reply) -> None:
        channel = self._audit_channel or rotation.channel_id
        if channel.startswith("D"):
            return  # a direct message has nobody else to tell
        message = outcome.announcement(rotation, await self._head())
        try:
            await self._web.chat_postMessage(channel=channel, **message.payload())
        except SlackApiError as error:
            if error.response.get("error") not in _NO_WAY_IN:
                raise
            # The `response_url` of the press still reaches the channel it was typed in.
            if channel == rotation.channel_id and await reply.show_channel(message):
                return
            if letter.attempts == 1:
                await reply.say(card.not_announced(channel))
            raise

    async def _head(self) -> Head | None:
        """Read how far the trail reaches; an announcement does without rather than wait."""
        try:
            return await self._trail.head()
        except DatabaseError:
            return None

    def _silence(self) -> float:
        """Say for how many seconds Slack wants to hear nothing."""
        return self._silent_until - asyncio.get_running_loop().time()


def _retry_after(error: Exception) -> float:
    headers = error.response.headers if isinstance(error, SlackApiError) else {}
    value = str(headers.get("Retry-After", "0"))[:9]
    seconds = float(value) if value.isascii() and value.isdigit() else 0.0
    return min(seconds, _LONGEST_RETRY_AFTER_SECONDS)


def _words(error: Exception) -> str:
    """Say in a few words what Slack, or the way to it, had against a message."""
    if isinstance(error, SlackApiError) and (code := error.response.get("error")):
        return f"Slack answered {str(code)[:80]}."
    if isinstance(error, FAILURES):
        return f"Slack could not be reached ({type(error).__name__})."
    return f"The message could not be written ({type(error).__name__})."
