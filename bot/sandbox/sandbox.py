"""The sandbox as a whole: a local Slack, a local Turso, and the real bot between them."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal, Self

from bot.sandbox import failure_modes, scenario
from bot.sandbox.bot_process import BotFailedError, BotProcess
from bot.sandbox.changes import ChangeBus
from bot.sandbox.local_slack import APP_TOKEN, BOT_TOKEN, LocalSlack
from bot.sandbox.local_turso import DEFAULT_TOKEN, LocalTurso
from bot.sandbox.trail_file import TrailFile

BotState = Literal["starting", "up", "down"]
_START_SECONDS = 30.0
_TRAIL_SECONDS = 0.1  # between two reads of the database file
_SERVING = '"event": "serving"'
_DATABASE = "turso-rotate.db"


class Sandbox:
    """Slack, Turso and the bot; an async context manager that is usable while the bot still starts."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        confirm_seconds: int = 300,
        call_seconds: float = 5.0,
        process: type[BotProcess] = BotProcess,
    ) -> None:
        self.slack = LocalSlack(channels=scenario.CHANNELS, people=[user.person for user in scenario.USERS])
        self.slack.workspace.escaped_commands.add(scenario.ESCAPED_COMMAND)
        self.turso = LocalTurso(organization=scenario.ORGANIZATION, groups=scenario.GROUP_DATABASES)
        self.turso.services[:] = scenario.service_tokens(self.turso.organization)
        self.failure_mode = "none"
        self.bot_state: BotState = "starting"
        self.version = 0  # increases with every change
        self.trail: TrailFile
        self.bot: BotProcess
        self._folder = folder
        self._process = process
        self._limits = {"CONFIRM_TTL": str(confirm_seconds), "TURSO_TIMEOUT": str(call_seconds)}
        self._changes = ChangeBus()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._first_start: asyncio.Task[None] | None = None
        self._restarting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        folder = await asyncio.to_thread(self._create_folder)
        await self._stack.enter_async_context(self.slack)
        await self._stack.enter_async_context(self.turso)
        self.trail = TrailFile(folder / _DATABASE)
        self.bot = self._process(folder, self._settings(folder))
        self._stack.push_async_callback(self.bot.stop)
        self._stack.push_async_callback(self._cancel_tasks)
        for subscription in (self.slack.changes.subscribe(), self.turso.changes.subscribe()):
            self._run_in_background(self._forward(subscription))
        self._run_in_background(self._poll_trail())
        self._first_start = asyncio.create_task(self._start())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ready(self) -> None:
        """Wait until the bot serves. Raises `BotFailedError` with the end of its log if it does not."""
        if self._first_start is not None:
            await asyncio.shield(self._first_start)
        if self.bot_state != "up":
            raise BotFailedError(self.bot.log_tail)

    async def restart(self) -> None:
        """Kill the bot as a crash would, and start it again."""
        async with self._restarting:
            await self.bot.kill()
            await self._start()

    def set_failure_mode(self, mode: str) -> None:
        """Replace the current failure by another one. Raises `KeyError` for an unknown mode."""
        failure_modes.apply(mode, self.slack, self.turso)
        self.failure_mode = mode
        self.touch()

    def redeploy(self, service: str) -> None:
        """Give a service a new token, as its owners would after a rotation."""
        for token in self.turso.services:
            if token.name == service:
                token.works = True
        self.touch()

    def touch(self) -> None:
        """Increase the version, and wake those who wait for it."""
        self.version += 1
        self._changes.publish("sandbox")

    async def changed(self, since: int) -> int:
        """Wait for a version newer than `since`, and return it."""
        await self._changes.until(lambda: self.version > since)
        return self.version

    def _settings(self, folder: Path) -> dict[str, str]:
        return {
            "SLACK_BOT_TOKEN": BOT_TOKEN,
            "SLACK_APP_TOKEN": APP_TOKEN,
            "SLACK_API_URL": self.slack.api_url,
            "TURSO_ORGANIZATION": scenario.ORGANIZATION,
            "TURSO_API_TOKEN": DEFAULT_TOKEN,
            "TURSO_API_URL": self.turso.url,
            "DATABASE_URL": f"sqlite:///{folder / _DATABASE}",
            "AUDIT_CHANNEL": scenario.AUDIT_CHANNEL,
            "PORT": "0",
            "LOG_FORMAT": "json",
            **self._limits,
        }

    def _create_folder(self) -> Path:
        if self._folder is None:
            return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="turso-rotate-"))).resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder.resolve()

    async def _start(self) -> None:
        self._set_bot_state("starting")
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self.bot.start()
                await self.bot.logs("The schema")
                await asyncio.gather(self.bot.logs(_SERVING), self._grant())
                await self.slack.connected(timeout=_START_SECONDS)
        except (BotFailedError, TimeoutError, AssertionError):
            self._set_bot_state("down")
        else:
            self._set_bot_state("up")
            self._run_in_background(self._watch_for_end())

    async def _grant(self) -> None:
        self.trail.refresh()
        if "allowlist.granted" in self.trail.actions:  # a restart, or a folder that was kept
            return
        grants = [(user.person, ["--group", user.may_rotate]) for user in scenario.USERS if user.may_rotate is not None]
        grants += [(user.person, ["--role", "audit"]) for user in scenario.USERS if user.may_audit]
        commands = (["allow", "add", who.user_id, "--team", who.team_id, *options] for who, options in grants)
        await self.bot.run_commands(*commands)

    async def _watch_for_end(self) -> None:
        await self.bot.ended()
        if self.bot_state == "up":
            self._set_bot_state("down")

    def _set_bot_state(self, state: BotState) -> None:
        self.bot_state = state
        self.touch()

    async def _forward(self, changes: AsyncIterable[object]) -> None:
        async for _ in changes:
            self.touch()

    async def _poll_trail(self) -> None:
        async for _ in _ticks(_TRAIL_SECONDS):
            if self.trail.refresh():
                self.touch()

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cancel_tasks(self) -> None:
        tasks = [each for each in (*self._tasks, self._first_start) if each is not None]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _ticks(seconds: float) -> AsyncIterator[None]:
    while True:
        yield
        await asyncio.sleep(seconds)
