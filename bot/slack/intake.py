"""Take in what Slack delivers: admit it, run it in a supervised task, and explain every failure."""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from slack_bolt.async_app import AsyncAck

from bot.domain.errors import BotError, Overloaded, ShuttingDown
from bot.ops.tasks import SupervisedTasks, TaskKind
from bot.slack.blocks import Message
from bot.slack.errors import Refused, Tell, explained

Handle = Callable[[], Coroutine[Any, Any, None]]


class Intake:
    """The one way from a listener to the work behind it."""

    def __init__(self, tasks: SupervisedTasks, refused: Refused) -> None:
        self.tasks = tasks
        self._refused = refused

    async def accept_command(
        self, ack: AsyncAck, handle: Handle, tell: Tell, words: Callable[[BotError], Message]
    ) -> None:
        """Acknowledge a command and start its work; if no work is accepted, say so in the acknowledgement itself."""
        try:
            self.tasks.admit()
        except (ShuttingDown, Overloaded) as error:
            await ack(response_type="ephemeral", **words(error).payload())
            return
        await ack()
        self.tasks.start(self._run(handle, tell), "command")

    def accept(self, handle: Handle, tell: Tell, kind: TaskKind = "click") -> None:
        """Start the work behind something that is acknowledged already, or explain why not."""
        try:
            self.tasks.admit()
        except (ShuttingDown, Overloaded) as error:
            self.tasks.start(_told(tell, error))
            return
        self.tasks.start(self._run(handle, tell), kind)

    def explained(self, tell: Tell) -> AbstractAsyncContextManager[None]:
        """Explain failures elsewhere than where the rest of the work does."""
        return explained(tell, self._refused)

    async def _run(self, handle: Handle, tell: Tell) -> None:
        async with self.explained(tell):
            await handle()


async def _told(tell: Tell, error: BotError) -> None:
    await tell(error)
