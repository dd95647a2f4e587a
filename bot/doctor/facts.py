"""What the checks look at: read once when the first of them asks, and waited for by the others."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import aiohttp
import httpx

from bot import __version__
from bot.config import Settings
from bot.doctor.answers import SECONDS, Answer, Once
from bot.doctor.findings import Unreadable
from bot.doctor.questions import SlackQuestions, TursoQuestions
from bot.domain.errors import DatabaseError, DatabaseUnavailable
from bot.domain.grants import GrantSnapshot
from bot.domain.models import Actor, TeamId
from bot.slack.bolt import granted_scopes
from bot.store import inspection
from bot.store.database import Database, open_database
from bot.trail.chain import Row

NEWEST_ROWS = 5
NO_TOKEN = "Slack does not take the bot token."  # noqa: S105 - says that there is none


@dataclass(frozen=True, slots=True)
class Grants:
    """The grants that were not revoked, and when their holders last asked for a rotation."""

    held: GrantSnapshot
    asked: Mapping[Actor, datetime]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a check may look at. What cannot be read raises `Unreadable`, unless it says otherwise."""

    settings: Settings
    replicas: int
    """How many replicas of this deployment run, as the operator says."""
    slack: SlackQuestions
    turso: TursoQuestions
    database: Database
    once: Once

    async def auth(self) -> Answer:
        """Ask Slack whose token it is; only a yes comes back."""
        answer = await self.slack.ask("auth.test")
        if not answer.yes:
            raise Unreadable(NO_TOKEN if answer.came else f"{answer.error}.")
        return answer

    async def team(self) -> TeamId:
        """Ask Slack which workspace the bot serves."""
        return TeamId(str((await self.auth()).data.get("team_id")))

    async def scopes(self) -> frozenset[str]:
        """Ask Slack what the bot token may do."""
        granted = granted_scopes((await self.auth()).headers)
        if granted is None:
            raise Unreadable("Slack did not say which scopes the token has.")
        return granted

    async def standing(self) -> tuple[inspection.DatabaseStatus, float]:
        """Read where the database stands, and by how many seconds its clock is ahead. Raises `DatabaseError`."""
        return await self.once.ask("standing", self._standing)

    async def grants(self) -> Grants:
        """Read the grants."""
        await self._refuse_unusable()
        return await self.once.ask("grants", self._grants)

    async def newest_rows(self) -> Sequence[Row]:
        """Read the newest rows of the audit trail, the newest last."""
        await self._refuse_unusable()
        try:
            return await inspection.newest_rows(self.database, NEWEST_ROWS)
        except DatabaseError as error:
            raise Unreadable(str(error)) from None

    async def _standing(self) -> tuple[inspection.DatabaseStatus, float]:
        name = self.settings.database_url.database or ""
        if self._is_file() and not await asyncio.to_thread(Path(name.removeprefix("file:")).exists):
            raise DatabaseUnavailable(f"There is no file {name}.")  # which opening it would make
        began = time.time()
        found = await inspection.read_status(self.database)
        return found, found.now.timestamp() - (began + time.time()) / 2

    async def _grants(self) -> Grants:
        try:
            return Grants(*await inspection.grant_usage(self.database, self.settings.seal()))
        except DatabaseError as error:
            raise Unreadable(str(error)) from None

    async def _refuse_unusable(self) -> None:
        try:
            standing, _ = await self.standing()
        except DatabaseError:
            raise Unreadable("The database cannot be read.") from None
        if standing.mismatch:
            raise Unreadable("The database's schema is not this version's.")

    def _is_file(self) -> bool:
        return self.settings.database_url.get_backend_name() == "sqlite"


@asynccontextmanager
async def opened(settings: Settings, replicas: int) -> AsyncIterator[Facts]:
    """Open the ways to Slack, Turso and the database; nothing is asked yet."""
    # Longer than `Turns` waits, which remembers who did not answer.
    seconds = 2 * SECONDS
    agent = {"User-Agent": f"turso-rotate/{__version__} doctor"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
        # As the bot itself, past any proxy that the environment names.
        httpx.AsyncClient(timeout=seconds, headers=agent, trust_env=False) as http,
    ):
        slack, turso, once = SlackQuestions(settings, session), TursoQuestions(settings, http), Once()
        database = open_database(settings.database_url)
        try:
            yield Facts(settings, replicas, slack, turso, database, once)
        finally:
            for open_questions in (slack.once, turso.once, once):
                await open_questions.aclose()
            await database.close()
