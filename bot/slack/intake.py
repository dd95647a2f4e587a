"""Take in what Slack delivers: admit it, run it in a supervised task, and explain every failure."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.domain.errors import BotError, Overloaded, ShuttingDown
from bot.ops.tasks import SupervisedTasks, TaskKind
from bot.slack.blocks import Message, section
from bot.slack.errors import CountRefusal, Tell, explained
from bot.slack.payloads import Installation, Interaction, Payload, SlashCommand, read_command, read_interaction
from bot.slack.replies import Reply, ReplyTo

Work = Callable[[], Coroutine[Any, Any, None]]
TellOver = Callable[[Reply, BotError], Coroutine[Any, Any, object]]
"""Shows a failure over a reply."""

_MASKED = section(
    ":warning: *You typed something that looks like a token.* I masked it before anything was recorded or shown. "
    "Slack itself may have kept what you typed: treat it as leaked."
)


class Intake:
    """Runs the work behind a command or a press in a supervised task."""

    def __init__(
        self, tasks: SupervisedTasks, refused: CountRefusal, reply_to: ReplyTo, installation: Installation
    ) -> None:
        self.tasks = tasks
        self.installation = installation
        self._refused = refused
        self._reply_to = reply_to

    async def command(
        self,
        ack: AsyncAck,
        body: Payload,
        handle: Callable[[SlashCommand, Reply], Coroutine[Any, Any, None]],
        tell: TellOver,
        words: Callable[[BotError], Message],
    ) -> None:
        """Acknowledge a command and start its work; if no work is accepted, say so in the acknowledgement itself."""
        try:
            self.tasks.admit()
        except (ShuttingDown, Overloaded) as error:
            await ack(response_type="ephemeral", **words(error).payload())
            return
        await ack()
        command = read_command(body, self.installation)
        reply = self._reply_to(command.actor, command.context.channel_id, command.response_url)
        if command.masked:
            reply = replace(reply, remark=_MASKED)
        work = self._run(partial(handle, command, reply), partial(tell, reply))
        self.tasks.start(work, "command")

    def press(
        self, body: Payload, handle: Callable[[Interaction, Reply], Coroutine[Any, Any, None]], tell: TellOver
    ) -> None:
        """Start the work behind a press in a message, which is acknowledged already."""
        interaction = read_interaction(body, self.installation)
        reply = self._reply_to(interaction.actor, interaction.context.channel_id, interaction.response_url)
        self.accept(partial(handle, interaction, reply), partial(tell, reply))

    def accept(self, work: Work, tell: Tell, kind: TaskKind = "press") -> None:
        """Start work behind something that is acknowledged already, or explain why not."""
        try:
            self.tasks.admit()
        except (ShuttingDown, Overloaded) as error:
            self.tasks.start(tell(error))
            return
        self.tasks.start(self._run(work, tell), kind)

    def explained(self, tell: Tell) -> AbstractAsyncContextManager[None]:
        """Explain failures elsewhere than the rest of the work does."""
        return explained(tell, self._refused)

    async def _run(self, work: Work, tell: Tell) -> None:
        async with self.explained(tell):
            await work()
