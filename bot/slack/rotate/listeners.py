"""Listen for `/turso-rotate` and the buttons of its card."""

import asyncio
import re

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.errors import AlreadyDecided, BotError, OutdatedButton, UsageError
from bot.domain.models import RotationId
from bot.domain.ports import WORLD_GONE
from bot.domain.requests import ConfirmationPrompt, Requests
from bot.domain.rotations import Rotations
from bot.domain.states import State
from bot.domain.text import storable
from bot.slack.blocks import Message
from bot.slack.intake import Intake
from bot.slack.notifier import Notifier
from bot.slack.payloads import Interaction, Payload, SlashCommand
from bot.slack.replies import Reply
from bot.slack.rotate import card, outcome, refusal
from bot.slack.rotate.command import asks_for_groups, parse

_SHOWING_SECONDS = 3.0
_DOUBLE_CLICK_SECONDS = 5.0
"""How long a click on a button may travel that has been replaced meanwhile."""


class RotationListeners:
    """Listeners that acknowledge at once and leave the work to a supervised task."""

    def __init__(self, requests: Requests, rotations: Rotations, notifier: Notifier, intake: Intake) -> None:
        self._requests = requests
        self._rotations = rotations
        self._notifier = notifier
        self._intake = intake

    def register(self, app: AsyncApp) -> None:
        """Register with Bolt, which asks listeners in the order of registration: these are used most."""
        app.command("/turso-rotate")(self.on_command)
        app.action(card.CONFIRM)(self.on_confirm)
        app.action(card.CONFIRM_AGAIN)(self.on_confirm)
        app.action(card.CANCEL)(self.on_cancel)

    def register_fallback(self, app: AsyncApp) -> None:
        """Register for the buttons that no other listener knows; call this last."""
        app.action(re.compile(".*"))(self.on_unknown_button)

    async def on_command(self, ack: AsyncAck, body: Payload) -> None:
        """Handle `/turso-rotate`."""
        await self._intake.command(ack, body, self._command, _explain, refusal.other_failure)

    async def on_confirm(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Rotate tokens* or *Rotate again*."""
        await ack()
        self._intake.press(body, self._confirm, self._tell)

    async def on_cancel(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Cancel*."""
        await ack()
        self._intake.press(body, self._cancel, self._tell)

    async def on_unknown_button(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of a button that this version does not have."""
        await ack()
        self._intake.press(body, _refuse_unknown, self._tell)

    async def _command(self, command: SlashCommand, reply: Reply) -> None:
        await reply.send(await self._answer(command))

    async def _answer(self, command: SlashCommand) -> Message:
        actor, context = command.actor, command.context
        try:
            request = parse(command.text)
        except UsageError as error:
            await self._requests.reject(actor, context, storable(command.text), str(error))
            raise
        if request is None or asks_for_groups(request):
            groups = await self._requests.rotatable(actor)
            if request is None or request.group not in (groups or ()):
                return card.usage(groups)
        return card.ask(await self._requests.request(actor, context, request))

    async def _confirm(self, press: Interaction, reply: Reply) -> None:
        claimed = await self._rotations.confirm(press.actor, press.context, RotationId(press.chosen))
        if isinstance(claimed, ConfirmationPrompt):
            await reply.replace(card.ask(claimed))
            return
        showing = self._intake.tasks.hold(reply.replace(card.rotating(claimed.rotation)))
        rotation = await self._rotations.carry_out(claimed)
        # Do not show "Rotating…" after the outcome, and do not let a slow Slack delay the outcome.
        await asyncio.wait({showing}, timeout=_SHOWING_SECONDS)
        showing.cancel()
        await self._notifier.notify(rotation, reply)

    async def _cancel(self, press: Interaction, reply: Reply) -> None:
        rotation = await self._rotations.cancel(press.actor, press.context, RotationId(press.chosen))
        await self._notifier.notify(rotation, reply)

    async def _tell(self, reply: Reply, error: BotError) -> None:
        if not isinstance(error, AlreadyDecided) or error.rotation.state is State.ROTATING:
            await reply.send(refusal.words(error, reply.reader, refusal.THIS_PRESS))
        elif not error.saved:
            await reply.replace(outcome.unsaved(error.rotation))
        elif error.rotation.detail.get("why") == WORLD_GONE and error.seconds < _DOUBLE_CLICK_SECONDS:
            # A second click: the message that was pressed already shows the card that asks anew, or what became of it.
            # Later, the old button still stands there, so the message could not be replaced then.
            await reply.send(outcome.ended(error.rotation))
        elif not await self._notifier.notify(error.rotation, reply):  # if True, `notify` has already replaced the card
            await reply.replace(outcome.ended(error.rotation))


async def _explain(reply: Reply, error: BotError) -> None:
    await reply.send(refusal.words(error, reply.reader))


async def _refuse_unknown(_: Interaction, __: Reply) -> None:
    raise OutdatedButton
