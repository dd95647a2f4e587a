"""Listen for what people do on the Home tab, and publish it again."""

import re
from collections.abc import Mapping
from functools import partial

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import BotError, OutdatedButton
from bot.domain.history import Cursor
from bot.domain.models import Actor, RotationId, SlackContext
from bot.domain.reading import History
from bot.domain.rotations import Rotations
from bot.slack.blocks import Block
from bot.slack.history import cursor
from bot.slack.home import view
from bot.slack.intake import Intake
from bot.slack.notifier import Notifier
from bot.slack.payloads import HOME, Interaction, Payload, read_home_opened, read_interaction
from bot.slack.replies import FAILURES

_FIELDS: Mapping[str, str] = {
    view.GROUP_MENU: "group",
    view.PERSON_MENU: "person",
    view.OUTCOME_MENU: "outcome",
    view.PERIOD_MENU: "period",
}

log = structlog.get_logger(__name__)


class HomeListeners:
    """Listeners that acknowledge at once and leave the work to a supervised task."""

    def __init__(
        self, history: History, rotations: Rotations, notifier: Notifier, intake: Intake, *, web: AsyncWebClient
    ) -> None:
        self._history = history
        self._rotations = rotations
        self._notifier = notifier
        self._intake = intake
        self._web = web

    def register(self, app: AsyncApp) -> None:
        """Register with Bolt."""
        app.event("app_home_opened")(self.on_opened)
        app.action(view.CANCEL)(self.on_cancel)
        app.action(re.compile("home:.*"))(self.on_used)

    async def on_opened(self, body: Payload) -> None:
        """Handle the event that somebody opened the app: show the newest page of their last query."""
        opened = read_home_opened(body, self._intake.installation)
        if opened is not None:
            at = Cursor(_remembered(opened.metadata).query)
            show = partial(self._show, opened.actor, opened.context, at)
            self._intake.accept(show, partial(self._tell, opened.actor, at), "other")

    async def on_used(self, ack: AsyncAck, body: Payload) -> None:
        """Handle the use of a menu, or of a button that shows something else."""
        await ack()
        press = read_interaction(body, self._intake.installation)
        try:
            at, notice = _next(press), ""
        except OutdatedButton as error:
            at, notice = Cursor(), str(error)
        show = partial(self._show, press.actor, press.context, at, notice)
        self._intake.accept(show, partial(self._tell, press.actor, at))

    async def on_cancel(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Cancel* next to a pending request."""
        await ack()
        press = read_interaction(body, self._intake.installation)
        at = _remembered(press.metadata)
        self._intake.accept(partial(self._cancel, press, at), partial(self._tell, press.actor, at))

    async def _show(self, reader: Actor, context: SlackContext, at: Cursor, notice: str = "") -> None:
        home = await self._history.home(reader, context, at)
        await self._publish(reader, view.show(home, at, notice))

    async def _cancel(self, press: Interaction, at: Cursor) -> None:
        """Cancel, settle the card where the request was made, and show what is left."""
        notices: list[str] = []

        async def tell(error: BotError) -> None:
            notices.append(str(error))

        async with self._intake.explained(tell):
            rotation = await self._rotations.cancel(press.actor, press.context, RotationId(press.chosen))
            await self._notifier.notify(rotation)
        # Without the delivery: in the trail, it belongs to the press.
        await self._show(press.actor, SlackContext(HOME), at, " ".join(notices))

    async def _tell(self, reader: Actor, at: Cursor, error: BotError) -> None:
        await self._publish(reader, view.failed(error, at))

    async def _publish(self, reader: Actor, home: Block) -> None:
        try:
            await self._web.views_publish(user_id=reader.user_id, view=home)
        except FAILURES as error:
            log.warning("home tab not shown", user=reader.user_id, error=type(error).__name__)


def _remembered(metadata: str) -> Cursor:
    """Read the cursor of the tab; for one that another version published, return the newest page."""
    try:
        return cursor.read(metadata) if metadata else Cursor()
    except OutdatedButton:
        return Cursor()


def _next(press: Interaction) -> Cursor:
    """Return what somebody wants to see now. Raises `OutdatedButton`."""
    here = _remembered(press.metadata)
    match press.action_id:
        case view.NEWER | view.OLDER:
            return cursor.read(press.chosen)
        case view.AGAIN:
            return here
        case view.CLEAR:
            return Cursor()
        case menu if menu in _FIELDS:
            return Cursor(cursor.change(here.query, _FIELDS[menu], _choice(press)))
        case _:
            raise OutdatedButton


def _choice(press: Interaction) -> str | None:
    return None if press.chosen in {"", view.ANY} else press.chosen
