"""Translate what people do on the Home tab into use cases, and show the tab anew."""

import re
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import BotError, Overloaded, ShuttingDown, UsageError
from bot.domain.history import PAGE
from bot.domain.models import Actor, RotationId, SlackContext
from bot.domain.reading import History
from bot.domain.rotations import Rotations
from bot.ops.tasks import Kind, Work
from bot.slack.blocks import Block
from bot.slack.errors import explained
from bot.slack.history import cursor
from bot.slack.history.cursor import Cursor
from bot.slack.home import view
from bot.slack.notifier import Notifier
from bot.slack.payloads import HOME, Interaction, Payload, used, visit
from bot.slack.replies import FAILURES

_FIELDS = {
    view.GROUP_MENU: "group",
    view.PERSON_MENU: "person",
    view.OUTCOME_MENU: "outcome",
    view.PERIOD_MENU: "period",
}

log = structlog.get_logger(__name__)


class HomeListeners:
    """The bot's ears on the Home tab."""

    def __init__(  # noqa: PLR0913 - one argument for each port
        self,
        history: History,
        rotations: Rotations,
        courier: Notifier,
        work: Work,
        *,
        web: AsyncWebClient,
        now: Callable[[], datetime],
    ) -> None:
        self._history = history
        self._rotations = rotations
        self._courier = courier
        self._work = work
        self._web = web
        self._now = now

    def listen(self, app: AsyncApp) -> None:
        """Register with Bolt."""
        app.event("app_home_opened")(self.on_opened)
        app.action(view.CANCEL)(self.on_cancel)
        app.action(re.compile("home:.*"))(self.on_used)

    async def on_opened(self, body: Payload) -> None:
        """Handle the event that somebody looks at the app: the newest page of what they last asked for."""
        seen = visit(body)
        if seen.home:
            at = Cursor(_remembered(seen.metadata).wanted)
            self._admitted(seen.actor, at, partial(self._show, seen.actor, seen.place, at), "other")

    async def on_used(self, ack: AsyncAck, body: Payload) -> None:
        """Handle the use of a menu, or of a button that shows something else."""
        await ack()
        press = used(body)
        try:
            at, notice = _followed(press), ""
        except UsageError as error:
            at, notice = Cursor(), str(error)
        self._admitted(press.actor, at, partial(self._show, press.actor, press.place, at, notice))

    async def on_cancel(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Cancel* beside a request that waits."""
        await ack()
        press = used(body)
        self._admitted(press.actor, _remembered(press.metadata), partial(self._cancel, press))

    def _admitted(
        self, reader: Actor, at: Cursor, handle: Callable[[], Coroutine[Any, Any, None]], kind: Kind = "click"
    ) -> None:
        try:
            self._work.admit()
        except (ShuttingDown, Overloaded) as error:
            self._work.start(self._explain(reader, at, error))
            return
        self._work.start(handle(), kind)

    async def _show(self, reader: Actor, place: SlackContext, at: Cursor, notice: str = "") -> None:
        async with explained(partial(self._explain, reader, at)):
            query = at.wanted.query(self._now())
            read = await self._history.home(reader, place, query, before=at.before, after=at.after, limit=PAGE)
            await self._publish(reader, view.shown(read, at, notice))

    async def _cancel(self, press: Interaction) -> None:
        """Cancel, settle the request where it was made, and show what is left."""
        notices: list[str] = []

        async def tell(error: BotError) -> None:
            notices.append(str(error))

        async with explained(tell):
            rotation = await self._rotations.cancel(press.actor, press.place, RotationId(press.chosen))
            await self._courier.tell(rotation)
        # Without the delivery, which stands for the press in the trail.
        await self._show(press.actor, SlackContext(HOME), _remembered(press.metadata), " ".join(notices))

    async def _explain(self, reader: Actor, at: Cursor, error: BotError) -> None:
        await self._publish(reader, view.unreadable(error, at))

    async def _publish(self, reader: Actor, view: Block) -> None:
        try:
            await self._web.views_publish(user_id=reader.user_id, view=view)
        except FAILURES as error:
            log.warning("home tab not shown", user=reader.user_id, error=type(error).__name__)


def _remembered(metadata: str) -> Cursor:
    """Read where the tab stands; one that another version published stands at the newest page."""
    try:
        return cursor.read(metadata) if metadata else Cursor()
    except UsageError:
        return Cursor()


def _followed(press: Interaction) -> Cursor:
    """Say what somebody wants to see now. Raises `UsageError`."""
    here = _remembered(press.metadata)
    match press.action_id:
        case view.NEWER | view.OLDER:
            return cursor.read(press.chosen)
        case view.AGAIN:
            return here
        case view.CLEAR:
            return Cursor()
        case menu if menu in _FIELDS:
            return Cursor(cursor.change(here.wanted, _FIELDS[menu], _chosen(press)))
        case _:
            raise UsageError("This version of the bot does not know that button.")


def _chosen(press: Interaction) -> str | None:
    return None if press.chosen in {"", view.ANY} else press.chosen
