"""The sandbox as a whole: a local Slack, a local Turso, and the real bot between them."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal, Self

from bot.sandbox import scenario
from bot.sandbox.bad_days import befall
from bot.sandbox.bot_process import BotFailedError, BotProcess
from bot.sandbox.feed import Feed
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.trail import Trail

BotState = Literal["starting", "up", "down"]
_START_SECONDS = 30.0
_TRAIL_SECONDS = 0.1  # between two looks at the database file
_SERVING = '"event": "serving"'
_DATABASE = "turso-rotate.db"


class Stage:
    """Everything that runs; an async context manager that is usable at once, while the bot still starts."""

    def __init__(self, folder: Path | None = None, *, confirm_seconds: int = 300, call_seconds: float = 5.0) -> None:
        self.slack = LocalSlack(channels=scenario.CHANNELS, people=[role.person for role in scenario.ROLES])
        self.slack.workspace.escaped.add(scenario.ESCAPED)
        self.turso = LocalTurso(organization=scenario.ORGANIZATION, groups=scenario.GROUPS)
        self.turso.organization.services[:] = scenario.organization_services(self.turso.organization)
        self.trouble = "none"
        self.bot_state: BotState = "starting"
        self.version = 0  # goes up with every change
        self.trail: Trail
        self.bot: BotProcess
        self._folder = folder
        self._limits = {"CONFIRM_TTL": str(confirm_seconds), "TURSO_TIMEOUT": str(call_seconds)}
        self._changed = Feed()
        self._open = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._first_start: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        folder = await asyncio.to_thread(self._makes_folder)
        await self._open.enter_async_context(self.slack)
        await self._open.enter_async_context(self.turso)
        self.trail = Trail(folder / _DATABASE)
        self.bot = BotProcess(folder, self._settings(folder))
        self._open.push_async_callback(self.bot.stop)
        self._open.push_async_callback(self._ends_tasks)
        for work in (self._follows(self.slack.changes()), self._follows(self.turso.feed.follow()), self._watches()):
            self._keeps(work)
        self._first_start = asyncio.create_task(self._starts())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def ready(self) -> None:
        """Wait until the bot serves. Raises `BotFailedError` with its last words if it does not."""
        if self._first_start is not None:
            await asyncio.shield(self._first_start)
        if self.bot_state != "up":
            raise BotFailedError(self.bot.tail)

    async def restart(self) -> None:
        """Kill the bot as a crash would, and start it again."""
        async with self._one_at_a_time:
            await self.bot.kill()
            await self._starts()

    def sets_trouble(self, trouble: str) -> None:
        """Let one trouble begin and any other end."""
        befall(trouble, self.slack, self.turso)
        self.trouble = trouble
        self.touch()

    def redeploys(self, service: str) -> None:
        """Give a service a new token, as its owners would after a rotation."""
        for token in self.turso.services:
            if token.name == service:
                token.works = True
        self.touch()

    def touch(self) -> None:
        """Tell those who watch that something changed."""
        self.version += 1
        self._changed.publish("stage")

    async def changes(self, since: int) -> int:
        """Wait for a version newer than `since`, and return it."""
        await self._changed.until(lambda: self.version > since)
        return self.version

    def _settings(self, folder: Path) -> dict[str, str]:
        return {
            "SLACK_BOT_TOKEN": "xoxb-local-bot",
            "SLACK_APP_TOKEN": "xapp-local-app",
            "SLACK_API_URL": self.slack.api_url,
            "TURSO_ORGANIZATION": scenario.ORGANIZATION,
            "TURSO_API_TOKEN": "local-turso-token",
            "TURSO_API_URL": self.turso.url,
            "DATABASE_URL": f"sqlite:///{folder / _DATABASE}",
            "AUDIT_CHANNEL": scenario.AUDIT,
            "PORT": "0",
            "LOG_FORMAT": "json",
            **self._limits,
        }

    def _makes_folder(self) -> Path:
        if self._folder is None:
            return Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="turso-rotate-"))).resolve()
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder.resolve()

    async def _starts(self) -> None:
        self._becomes("starting")
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self.bot.start()
                await self.bot.says("The schema")
                await asyncio.gather(self.bot.says(_SERVING), self._allows())
                await self.slack.connected(timeout=_START_SECONDS)
        except (BotFailedError, TimeoutError, AssertionError):
            self._becomes("down")
        else:
            self._becomes("up")
            self._keeps(self._notices_end())

    async def _allows(self) -> None:
        self.trail.grows()
        if "allowlist.granted" in self.trail.actions:  # a restart, or a folder that was kept
            return
        grants = [(role.person, ["--group", role.may]) for role in scenario.ROLES if role.may is not None]
        grants += [(role.person, ["--role", "audit"]) for role in scenario.ROLES if role.audits]
        await self.bot.commands(*(["allow", "add", who.user_id, "--team", who.team_id, *what] for who, what in grants))

    async def _notices_end(self) -> None:
        await self.bot.ended()
        if self.bot_state == "up":
            self._becomes("down")

    def _becomes(self, state: BotState) -> None:
        self.bot_state = state
        self.touch()

    async def _follows(self, changes: AsyncIterable[object]) -> None:
        async for _ in changes:
            self.touch()

    async def _watches(self) -> None:
        async for _ in _ticks(_TRAIL_SECONDS):
            if self.trail.grows():
                self.touch()

    def _keeps(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ends_tasks(self) -> None:
        tasks = [each for each in (*self._tasks, self._first_start) if each is not None]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _ticks(seconds: float) -> AsyncIterator[None]:
    while True:
        yield
        await asyncio.sleep(seconds)
