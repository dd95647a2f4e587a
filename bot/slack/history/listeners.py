"""Translate what people want to read of history, in a channel or in a modal, into the use cases around reading."""

from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import BotError, Overloaded, ShuttingDown
from bot.domain.history import PAGE
from bot.domain.models import Actor, RotationId, SlackContext
from bot.domain.reading import History
from bot.ops.tasks import Work
from bot.slack.blocks import Block, Message
from bot.slack.errors import explained
from bot.slack.history import cursor, pages, stories
from bot.slack.history.command import parse
from bot.slack.history.cursor import Cursor
from bot.slack.payloads import Interaction, Payload, SlashCommand, typed, used
from bot.slack.replies import FAILURES, Reply
from bot.slack.rotate.listeners import ReplyTo

Handler = Callable[[Interaction], Coroutine[Any, Any, None]]

log = structlog.get_logger(__name__)


class HistoryListeners:
    """The bot's ears for history: the command, the turning of its pages, and the details of a rotation."""

    def __init__(
        self, history: History, work: Work, *, web: AsyncWebClient, reply_to: ReplyTo, now: Callable[[], datetime]
    ) -> None:
        self._history = history
        self._work = work
        self._web = web
        self._reply_to = reply_to
        self._now = now

    def listen(self, app: AsyncApp) -> None:
        """Register with Bolt."""
        app.command("/turso-audit")(self.on_command)
        app.action(pages.OLDER)(self.on_turn)
        app.action(pages.NEWER)(self.on_turn)
        app.action(pages.DETAILS)(self.on_details)

    async def on_command(self, ack: AsyncAck, body: Payload) -> None:
        """Handle `/turso-audit`."""
        try:
            self._work.admit()
        except (ShuttingDown, Overloaded) as error:
            await ack(response_type="ephemeral", **pages.unreadable(error).payload())
            return
        await ack()
        self._work.start(self._command(typed(body)), "command")

    async def on_turn(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Older* or *Newer* below a page."""
        await ack()
        self._admitted(self._turn, used(body))

    async def on_details(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Details*, on a page or on the Home tab."""
        await ack()
        self._admitted(self._details, used(body))

    def _admitted(self, handle: Handler, press: Interaction) -> None:
        try:
            self._work.admit()
        except (ShuttingDown, Overloaded) as error:
            self._work.start(self._reply(press).say(pages.unreadable(error)))
            return
        self._work.start(handle(press), "click")

    async def _command(self, command: SlashCommand) -> None:
        reply = self._reply_to(command.actor, command.place.channel_id, command.response_url)
        async with explained(partial(_tell, reply)):
            wanted = parse(command.text, command.actor.user_id)
            if wanted is None:
                await reply.say(pages.usage())
            else:
                await reply.say(await self._page(command.actor, command.place, Cursor(wanted)))

    async def _turn(self, press: Interaction) -> None:
        reply = self._reply(press)
        async with explained(partial(_tell, reply)):
            await reply.settle(await self._page(press.actor, press.place, cursor.read(press.chosen)))

    async def _page(self, reader: Actor, place: SlackContext, at: Cursor) -> Message:
        query = at.wanted.query(self._now())
        page = await self._history.page(reader, place, query, before=at.before, after=at.after, limit=PAGE)
        return pages.page(page, at.wanted)

    async def _details(self, press: Interaction) -> None:
        """Open the modal at once, as a trigger lives for three seconds, and fill it when the story is read."""
        opening = self._work.hold(self._open(press))
        async with explained(partial(self._untold, press, opening)):
            story = await self._history.story(press.actor, press.place, RotationId(press.chosen))
            await self._fill(press, opening, stories.told(story))

    async def _open(self, press: Interaction) -> str | None:
        try:
            opened = await self._web.views_open(trigger_id=press.trigger_id, view=stories.loading())
        except FAILURES as error:
            log.warning("details not opened", error=type(error).__name__)
            return None
        return str(opened["view"]["id"])

    async def _untold(self, press: Interaction, opening: Awaitable[str | None], error: BotError) -> None:
        await self._fill(press, opening, stories.untold(error))

    async def _fill(self, press: Interaction, opening: Awaitable[str | None], view: Block) -> None:
        view_id = await opening
        if view_id is None:
            await self._reply(press).say(pages.not_opened())
            return
        try:
            await self._web.views_update(view_id=view_id, view=view)
        except FAILURES as error:
            log.warning("details not shown", error=type(error).__name__)

    def _reply(self, press: Interaction) -> Reply:
        return self._reply_to(press.actor, press.place.channel_id, press.response_url)


async def _tell(reply: Reply, error: BotError) -> None:
    await reply.say(pages.unreadable(error))
