"""The running bot: whether it is ready to work, and how it stops."""

import asyncio
from contextlib import suppress

from bot.app.instrument import Telemetry
from bot.app.sweeper import Sweeper
from bot.domain.errors import DatabaseError, DatabaseUnavailable
from bot.domain.recording import OutcomeRecorder
from bot.ops.tasks import SupervisedTasks
from bot.slack.sockets import SocketConnection
from bot.store.database import Database
from bot.store.key_check import refuse_changed_key
from bot.store.schema import check_schema
from bot.trail.chain import Seal


class Bot:
    """Reports whether the bot is ready, and finishes its work before it stops."""

    def __init__(
        self, recorder: OutcomeRecorder, sweeper: Sweeper, database: Database, telemetry: Telemetry, seal: Seal
    ) -> None:
        self.tasks = SupervisedTasks(within=telemetry.tracing.span, refused=telemetry.refused)
        self.sweeper = sweeper
        self.connection: SocketConnection | None = None
        self._recorder = recorder
        self._database = database
        self._seal = seal
        telemetry.metrics.watch(
            ready=self._is_ready,
            in_flight=lambda: len(self.tasks),
            sweep_failures=lambda: len(sweeper.failures),
        )

    async def finish(self, seconds: float) -> int:
        """Wait for running work, and for the database to take outcomes that are not recorded yet, at most `seconds`.

        Return how many tasks were cancelled.
        """
        until = asyncio.get_running_loop().time() + seconds
        cancelled = await self.tasks.finish(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._recorder.all_recorded()
        return cancelled

    async def problems(self) -> list[str]:
        """Check what keeps the bot from working."""
        found = []
        try:
            await check_schema(self._database)
            await self._database.check_writable()
            await refuse_changed_key(self._database, self._seal)
        except DatabaseError as error:
            found.append(str(error))
        failure = self.sweeper.failure
        if not found and failure is not None and not isinstance(failure, DatabaseUnavailable):
            found.append(str(failure))
        if self.connection is not None and not await self.connection.connected():
            found.append("The connection to Slack is lost.")
        return found

    def warnings(self) -> list[str]:
        """Describe what does not work, but keeps nothing else from working."""
        found, failure, count = self.sweeper.failures.named(), self.sweeper.failure, self._recorder.unsaved
        if isinstance(failure, DatabaseUnavailable):
            found.append(str(failure))
        if failure is not None and count:
            found.append(f"{count} outcome{' is' if count == 1 else 's are'} not saved yet.")
        return found

    def _is_ready(self) -> bool:
        """Return whether the sweeper and the connection were well when last observed; a scrape must cause no query."""
        return self.sweeper.ready and (self.connection is None or self.connection.healthy)
