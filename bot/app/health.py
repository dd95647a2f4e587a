"""The running bot: whether it is ready to work, and how it comes to its end."""

import asyncio
from contextlib import suppress

from bot.app.instrument import Telemetry
from bot.app.sweeper import Sweeper
from bot.domain.errors import DatabaseError
from bot.domain.rotations import Rotations
from bot.ops.tasks import Work
from bot.slack.sockets import Sockets
from bot.store import schema
from bot.store.database import Database


class Bot:
    """What comes in through Slack is handed to the use cases, and what is left behind is swept up."""

    def __init__(self, rotations: Rotations, sweeper: Sweeper, database: Database, telemetry: Telemetry) -> None:
        metrics = telemetry.metrics
        self.work = Work(within=telemetry.tracing.span, refused=metrics.refused)
        self.sweeper = sweeper
        self.sockets: Sockets | None = None
        self._rotations = rotations
        self._database = database
        metrics.watch(ready=self._is_ready, in_flight=lambda: len(self.work))

    async def finish(self, seconds: float) -> int:
        """Wait for what is under way, and for a database that is away to take the outcomes it has not, but no longer.

        Returns how many pieces of work were broken off.
        """
        until = asyncio.get_running_loop().time() + seconds
        broken_off = await self.work.finish(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._rotations.all_recorded()
        return broken_off

    async def problems(self) -> list[str]:
        """Say what keeps the bot from working."""
        found = []
        try:
            await schema.check(self._database)
        except DatabaseError as error:
            found.append(str(error))
        if self.sockets is not None and not await self.sockets.connected():
            found.append("The connection to Slack is lost.")
        return found

    def _is_ready(self) -> bool:
        """Say the same from what was seen last, without asking anybody."""
        return self.sweeper.well and (self.sockets is None or self.sockets.well)
