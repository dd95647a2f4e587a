"""Translate what Slack delivers into use cases, and their results into replies."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.errors import (
    AlreadyDecided,
    BotError,
    GroupBusy,
    NoSuchGroup,
    Overloaded,
    Refused,
    ShuttingDown,
    UsageError,
)
from bot.domain.models import Actor, ChannelId, State
from bot.domain.names import storable
from bot.domain.rotations import Rotations
from bot.ops.tasks import Work
from bot.slack.blocks import Message
from bot.slack.errors import UnexpectedError, explained
from bot.slack.notifier import Notifier
from bot.slack.payloads import ButtonPress, Payload, SlashCommand, pressed, typed
from bot.slack.replies import Reply
from bot.slack.rotate import card, outcome
from bot.slack.rotate.command import parse

ReplyTo = Callable[[Actor, ChannelId, str | None], Reply]

Handler = Callable[[ButtonPress, Reply], Awaitable[None]]

_SHOWING_SECONDS = 3.0


class Listeners:
    """The bot's ears: each acknowledges at once and hands the work to a task that is held."""

    def __init__(self, rotations: Rotations, courier: Notifier, work: Work, reply_to: ReplyTo) -> None:
        self._rotations = rotations
        self._courier = courier
        self._work = work
        self._reply_to = reply_to

    def listen(self, app: AsyncApp) -> None:
        """Register with Bolt, which asks listeners in their order: these are the busiest."""
        app.command("/turso-rotate")(self.on_command)
        app.action(card.CONFIRM)(self.on_confirm)
        app.action(card.CANCEL)(self.on_cancel)

    def listen_to_strangers(self, app: AsyncApp) -> None:
        """Register for the buttons that nobody else registered for."""
        app.action(re.compile(".*"))(self.on_stranger)

    async def on_command(self, ack: AsyncAck, body: Payload) -> None:
        """Handle `/turso-rotate`."""
        try:
            self._work.admit()
        except (ShuttingDown, Overloaded) as error:
            await ack(response_type="ephemeral", **card.explained(error).payload())
            return
        await ack()
        self._work.start(self._command(typed(body)), "command")

    async def on_confirm(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Rotate tokens*."""
        await ack()
        self._pressed(self._confirm, pressed(body))

    async def on_cancel(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of *Cancel*."""
        await ack()
        self._pressed(self._cancel, pressed(body))

    async def on_stranger(self, ack: AsyncAck, body: Payload) -> None:
        """Handle a press of a button this version does not have."""
        await ack()
        press = pressed(body)
        reply = self._reply_to(press.actor, press.place.channel_id, press.response_url)
        self._work.start(reply.say(card.explained(UsageError("This version of the bot does not know that button."))))

    def _pressed(self, handle: Handler, press: ButtonPress) -> None:
        reply = self._reply_to(press.actor, press.place.channel_id, press.response_url)
        try:
            self._work.admit()
        except (ShuttingDown, Overloaded) as error:
            self._work.start(reply.say(card.explained(error)))
            return
        self._work.start(self._handle(handle, press, reply), "click")

    async def _handle(self, handle: Handler, press: ButtonPress, reply: Reply) -> None:
        async with explained(partial(self._tell, reply)):
            await handle(press, reply)

    async def _command(self, command: SlashCommand) -> None:
        reply = self._reply_to(command.actor, command.place.channel_id, command.response_url)
        async with explained(partial(self._tell, reply)):
            await reply.say(await self._answer(command))

    async def _answer(self, command: SlashCommand) -> Message:
        actor, place = command.actor, command.place
        try:
            request = parse(command.text)
        except UsageError as error:
            await self._rotations.reject(actor, place, storable(command.text), str(error))
            raise
        if request is None:
            return card.usage(await self._rotations.rotatable(actor))
        return card.ask(await self._rotations.request(actor, place, request))

    async def _confirm(self, press: ButtonPress, reply: Reply) -> None:
        claimed = await self._rotations.confirm(press.actor, press.place, press.rotation_id)
        showing = self._work.hold(reply.settle(card.rotating(claimed.rotation)))
        rotation = await self._rotations.carry_out(claimed)
        # Or "rotating…" might overtake the outcome; but a Slack that does not answer may not withhold it.
        await asyncio.wait({showing}, timeout=_SHOWING_SECONDS)
        showing.cancel()
        await self._courier.tell(rotation, reply)

    async def _cancel(self, press: ButtonPress, reply: Reply) -> None:
        rotation = await self._rotations.cancel(press.actor, press.place, press.rotation_id)
        await self._courier.tell(rotation, reply)

    async def _tell(self, reply: Reply, error: BotError) -> None:
        if not isinstance(error, AlreadyDecided) or error.rotation.state is State.ROTATING:
            await reply.say(_words(error, reply.reader))
        elif not await self._courier.tell(error.rotation, reply):  # else the press came before the news of the end
            await reply.settle(outcome.ended(error.rotation))


def _words(error: BotError, reader: Actor) -> Message:
    match error:
        case GroupBusy() | AlreadyDecided():
            return card.in_progress(error.rotation, reader)
        case NoSuchGroup():
            return card.no_such_group(error)
        case Refused():
            return card.refused(error, reader)
        case UsageError():
            return card.confused(error)
        case UnexpectedError():
            return card.bug(error.reference)
        case _:
            return card.explained(error)
