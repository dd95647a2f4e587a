"""Listen for `/turso-audit`, the buttons below its pages, and *Details*."""

from collections.abc import Awaitable
from functools import partial

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import BotError
from bot.domain.history import Cursor, HistoryQuery
from bot.domain.models import Actor, RotationId, SlackContext
from bot.domain.names import ROTATION_ID
from bot.domain.reading import History
from bot.slack.blocks import Block, Message
from bot.slack.history import cursor, pages, stories
from bot.slack.history.command import parse
from bot.slack.intake import Intake
from bot.slack.payloads import Interaction, Payload, SlashCommand
from bot.slack.replies import FAILURES, Reply

log = structlog.get_logger(__name__)


class HistoryListeners:
    """Listeners that acknowledge at once and leave the work to a supervised task."""

    def __init__(self, history: History, intake: Intake, *, web: AsyncWebClient) -> None:
        self._history = history
        self._intake = intake
        self._web = web

    def register(self, app: AsyncApp) -> None:
        """Register with Bolt."""
        app.command("/turso-audit")(self.on_command)
        app.action(pages.OLDER)(self.on_turn)
        app.action(pages.NEWER)(self.on_turn)
        app.action(pages.DETAILS)(self.on_details)

    async def on_command(self, ack: AsyncAck, body: Payload) -> None:
        """Handle `/turso-audit`."""
        await self._intake.command(ack, body, self._command, _tell, pages.failed)

    async def on_turn(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Older* or *Newer* below a page."""
        await ack()
        self._intake.press(body, self._turn, _tell)

    async def on_details(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Details*, on a page or on the Home tab."""
        await ack()
        self._intake.press(body, self._details, _tell)

    async def _command(self, command: SlashCommand, reply: Reply) -> None:
        query = parse(command.text, command.actor.user_id)
        await reply.send(pages.usage() if query is None else await self._answer(command, query))

    async def _answer(self, command: SlashCommand, query: HistoryQuery) -> Message:
        reader, typed = command.actor, (query.group or "").lower()
        if ROTATION_ID.fullmatch(typed) and (story := await self._history.visible_story(reader, RotationId(typed))):
            return stories.message(story)
        return await self._page(reader, command.context, Cursor(await self._history.spelled(reader, query)))

    async def _turn(self, press: Interaction, reply: Reply) -> None:
        await reply.replace(await self._page(press.actor, press.context, cursor.read(press.chosen)))

    async def _page(self, reader: Actor, context: SlackContext, at: Cursor) -> Message:
        page = await self._history.page(reader, context, at)
        return pages.show(page, at.query)

    async def _details(self, press: Interaction, reply: Reply) -> None:
        """Open the modal at once, because a trigger lives for three seconds, and fill it when the story is read."""
        opening = self._intake.tasks.hold(self._open(press))
        async with self._intake.explained(partial(self._tell_in_modal, opening, reply)):
            story = await self._history.story(press.actor, press.context, RotationId(press.chosen))
            await self._fill(opening, reply, stories.show(story))

    async def _open(self, press: Interaction) -> str | None:
        try:
            opened = await self._web.views_open(trigger_id=press.trigger_id, view=stories.loading())
        except FAILURES as error:
            log.warning("details not opened", error=type(error).__name__)
            return None
        return str(opened["view"]["id"])

    async def _tell_in_modal(self, opening: Awaitable[str | None], reply: Reply, error: BotError) -> None:
        await self._fill(opening, reply, stories.failed(error))

    async def _fill(self, opening: Awaitable[str | None], reply: Reply, view: Block) -> None:
        view_id = await opening
        if view_id is None:
            await reply.send(pages.not_opened())
            return
        try:
            await self._web.views_update(view_id=view_id, view=view)
        except FAILURES as error:
            log.warning("details not shown", error=type(error).__name__)


async def _tell(reply: Reply, error: BotError) -> None:
    await reply.send(pages.failed(error))
