"""Deliver the notifications in the outbox: to the requester and to the channel, again and again until they arrive."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import DatabaseError, UnreadableRow
from bot.domain.events import Action, Event, TrailHead
from bot.domain.models import AT_TERMINAL, SYSTEM, ChannelId, Rotation, RotationId
from bot.domain.notifications import Notification, NotificationKind
from bot.domain.periods import rfc3339
from bot.domain.ports import AuditTrail, Outbox, RotationStore
from bot.domain.recording import ReportFailure
from bot.domain.states import State
from bot.ops.metrics import Metrics
from bot.slack.alarm import unguarded
from bot.slack.blocks import Message, message
from bot.slack.replies import FAILURES, Reply, ReplyTo

TAKEN_SECONDS = 60.0
"""How long a replica may work on a notification before another one takes it."""
_ATTEMPT_SECONDS = 25.0  # a rotation has two notifications, which are taken together
_LONGEST_PAUSE_SECONDS = 600.0
_REPLIES = 100
"""How many cards can be replaced at a later end. Each holds a `response_url`, which works for half an hour."""
_LONGEST_RETRY_AFTER_SECONDS = 24 * 60 * 60.0
_DELIVERED = {
    NotificationKind.CARD: "card settled",
    NotificationKind.ANNOUNCEMENT: "announced",
    NotificationKind.ALARM: "alarm posted",
}
_CANNOT_POST = frozenset({"channel_not_found", "not_in_channel", "is_archived", "restricted_action"})

log = structlog.get_logger(__name__)


class Notifier:
    """Tells people what the outbox says they must be told."""

    def __init__(  # noqa: PLR0913 - one argument for each port, and for each message
        self,
        outbox: Outbox,
        rotations: RotationStore,
        trail: AuditTrail,
        *,
        web: AsyncWebClient,
        reply_to: ReplyTo,
        audit_channel: ChannelId | None,
        metrics: Metrics,
        ended: Callable[[Rotation], Message],
        announcement: Callable[[Rotation, TrailHead | None], Message],
    ) -> None:
        self._outbox = outbox
        self._rotations = rotations
        self._trail = trail
        self._web = web
        self._reply_to = reply_to
        self._audit_channel = audit_channel
        self._metrics = metrics
        self._ended = ended
        self._announcement = announcement
        self._replies: dict[RotationId, Reply] = {}  # to cards that say what may turn out otherwise
        self._paused_until = 0.0  # on the loop's clock, because Slack asked for it

    async def notify(self, rotation: Rotation, reply: Reply | None = None) -> bool:
        """Deliver the notifications of a rotation that has just ended, over the given reply if there is one.

        Without the database the card is settled anyway, and the notifications stay for later. Return whether the
        requester was to be notified.
        """
        may_change = reply is not None and rotation.state is State.UNKNOWN
        reply = reply or self._reply(rotation)
        if may_change:
            self._remember(rotation.id, reply)
        try:
            notifications = await self._outbox.take_for(rotation.id, TAKEN_SECONDS)
            if notifications and rotation.state is State.UNKNOWN:
                # Only `unknown` can change: a late answer may have replaced it, and these notifications with it.
                rotation = await self._rotations.get(rotation.id) or rotation
            for notification in notifications:
                await self._tell(notification, rotation, reply)
            if not notifications and may_change:  # it is not saved yet, so nothing was queued with it
                return await reply.replace(self._ended(rotation))
        except (DatabaseError, UnreadableRow) as error:
            log.warning("notifications left for later", rotation=rotation.id, why=str(error))
            if rotation.requester.in_slack:
                await reply.replace(self._ended(rotation))
            return True
        return any(notification.kind is NotificationKind.CARD for notification in notifications)

    async def send_due(self, report: ReportFailure = lambda _, __: None) -> None:
        """Deliver every notification that is due: an attempt failed, or the process that queued it made none.

        `report` is called for what cannot be read, and for a bug; it is tried again once it is due again, and holds up
        no other.
        """
        while self._pause() <= 0 and await self._outbox.any_due():
            try:
                notification = await self._outbox.take(TAKEN_SECONDS)
            except UnreadableRow as row:
                report(row.key, row)
                continue
            if notification is None:
                return
            try:
                await self._send(notification)
            except DatabaseError:
                raise
            except Exception as error:  # noqa: BLE001 - reported
                key = error.key if isinstance(error, UnreadableRow) else f"Notification {notification.id}"
                report(key, error)

    async def _send(self, notification: Notification) -> None:
        if notification.rotation_id is None:
            await self._deliver(notification, None, lambda: self._post_alarm(notification))
        elif (rotation := await self._rotations.get(notification.rotation_id)) is not None:
            await self._tell(notification, rotation, self._reply(rotation))

    def _reply(self, rotation: Rotation) -> Reply:
        """Return a way to the card if this process was pressed on it, or else only to its requester."""
        known = self._replies.get(rotation.id)
        return known or self._reply_to(rotation.requester, rotation.channel_id, None)

    def _remember(self, rotation_id: RotationId, reply: Reply) -> None:
        """Remember the way to a card in memory only: it is a capability."""
        self._replies.pop(rotation_id, None)
        self._replies[rotation_id] = reply
        if len(self._replies) > _REPLIES:
            del self._replies[next(iter(self._replies))]

    async def _tell(self, notification: Notification, rotation: Rotation, reply: Reply) -> None:
        if notification.kind is NotificationKind.CARD:
            ended = self._ended(rotation)
            await self._deliver(notification, rotation, lambda: reply.deliver(ended, replace_original=True))
        else:
            await self._deliver(notification, rotation, lambda: self._announce(notification, rotation, reply))

    async def _deliver(
        self, notification: Notification, about: Rotation | None, attempt: Callable[[], Awaitable[object]]
    ) -> None:
        facts = {"rotation": notification.rotation_id, "kind": str(notification.kind)}
        if notification.kind is not NotificationKind.CARD and (pause := self._pause()) > 0:
            await self._outbox.put_off(notification, pause)
            return
        try:
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                await attempt()
        except FAILURES as error:
            await self._failed(notification, about, error)
        except Exception as error:
            log.exception("bug while notifying", **facts)
            await self._failed(notification, about, error)
        else:
            log.info(_DELIVERED[notification.kind], attempts=notification.attempts, **facts)
            await self._outbox.done(notification)

    async def _post_alarm(self, notification: Notification) -> None:
        """Post to the audit channel; without one, the log has it."""
        if self._audit_channel is not None:
            alarm = unguarded(notification.subject or "")
            await self._web.chat_postMessage(channel=self._audit_channel, **alarm.payload())

    async def _failed(self, notification: Notification, about: Rotation | None, error: Exception) -> None:
        """Try again later, after ever longer pauses and never sooner than Slack said; after a day, give up."""
        retry_after = _retry_after(error)
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + retry_after)
        if notification.overdue:
            await self._give_up(notification, about, _words(error))
            return
        pause = max(retry_after, min(2.0 ** min(notification.attempts, 16), _LONGEST_PAUSE_SECONDS))
        await self._outbox.put_off(notification, pause)
        facts = {"kind": str(notification.kind), "why": _words(error), "seconds": pause}
        log.warning("not notified yet", rotation=notification.rotation_id, **facts)

    async def _give_up(self, notification: Notification, about: Rotation | None, why: str) -> None:
        facts = {"kind": str(notification.kind), "why": why, "attempts": notification.attempts}
        detail = {**facts, "since": rfc3339(notification.created_at)}
        group = None if about is None else about.group
        event = Event(Action.GIVEN_UP, SYSTEM, notification.organization, group, notification.rotation_id, detail)
        if await self._outbox.give_up(notification, event):
            self._metrics.given_up(notification.kind)
            log.error("notification given up", rotation=notification.rotation_id, **facts)

    async def _announce(self, notification: Notification, rotation: Rotation, reply: Reply) -> None:
        channel = self._audit_channel or rotation.channel_id
        if channel.startswith("D") or channel == AT_TERMINAL:
            return  # there is nobody else to tell
        announcement = self._announcement(rotation, await self._head())
        try:
            await self._web.chat_postMessage(channel=channel, **announcement.payload())
        except SlackApiError as error:
            if error.response.get("error") not in _CANNOT_POST:
                raise
            # The `response_url` of the press still reaches the channel of the command.
            if channel == rotation.channel_id and await reply.show_channel(announcement):
                return
            if notification.attempts == 1 and rotation.requester.in_slack:
                await reply.send(_not_announced(channel))
            raise

    async def _head(self) -> TrailHead | None:
        """Read the head of the trail; an announcement goes out without it rather than wait."""
        try:
            return await self._trail.head()
        except DatabaseError:
            return None

    def _pause(self) -> float:
        """Return for how many more seconds Slack wants no announcements."""
        return self._paused_until - asyncio.get_running_loop().time()


def _not_announced(channel: ChannelId) -> Message:
    """Tell the requester that the channel does not know yet."""
    return message(
        f":mute: I could not announce this in <#{channel}>. Invite me there: I will keep trying for a day. "
        "Until then, tell people yourself."
    )


def _retry_after(error: Exception) -> float:
    headers = error.response.headers if isinstance(error, SlackApiError) else {}
    value = str(headers.get("Retry-After", "0"))[:9]
    seconds = float(value) if value.isascii() and value.isdigit() else 0.0
    return min(seconds, _LONGEST_RETRY_AFTER_SECONDS)


def _words(error: Exception) -> str:
    """Return in a few words why a message was not delivered."""
    if isinstance(error, SlackApiError) and (code := error.response.get("error")):
        return f"Slack answered {str(code)[:80]}."
    if isinstance(error, FAILURES):
        return f"Slack could not be reached ({type(error).__name__})."
    return f"The message could not be written ({type(error).__name__})."
