"""Everything the checks read: settings, Slack, Turso and the database, each read once when first needed."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import aiohttp
import httpx

from bot import __version__
from bot.config import Settings
from bot.doctor.calls import CALL_SECONDS, CallCache, ServiceAnswer
from bot.doctor.findings import CannotCheck
from bot.doctor.readers import SlackReader, TursoReader
from bot.domain.errors import DatabaseError
from bot.domain.grants import Grant, GrantSnapshot
from bot.domain.models import Actor, TeamId
from bot.slack.bolt import granted_scopes, is_org_wide
from bot.store import inspection
from bot.store.database import Database, open_database
from bot.trail.chain import Row

NEWEST_ROWS = 5
_NO_TOKEN = "Slack does not accept the bot token."  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class GrantUsage:
    """The grants that are not revoked, and when their holders last requested a rotation."""

    snapshot: GrantSnapshot
    last_requests: Mapping[Actor, datetime]

    def unused(self, grant: Grant) -> bool:
        """Return whether the holder has requested no rotation since the grant was added."""
        last = self.last_requests.get(grant.actor)
        return last is None or last < grant.granted_at


@dataclass(frozen=True, slots=True)
class CheckContext:
    """Everything a check may read. Methods raise `CannotCheck` if they cannot read it, unless they say otherwise."""

    settings: Settings
    replicas: int
    """How many replicas of this deployment run, as the operator says."""
    slack: SlackReader
    turso: TursoReader
    database: Database
    cache: CallCache

    async def auth(self) -> ServiceAnswer:
        """Ask Slack whose the bot token is."""
        answer = await self.slack.call("auth.test")
        if not answer.succeeded:
            raise CannotCheck(_NO_TOKEN if answer.arrived else f"{answer.error}.")
        return answer

    async def team(self) -> TeamId:
        """Ask Slack which workspace the bot serves."""
        auth = (await self.auth()).data
        if is_org_wide(auth.get("team_id"), auth.get("is_enterprise_install")):
            raise CannotCheck("The app is not installed in one workspace.")
        return TeamId(str(auth["team_id"]))

    async def scopes(self) -> frozenset[str]:
        """Ask Slack for the scopes of the bot token."""
        granted = granted_scopes((await self.auth()).headers)
        if granted is None:
            raise CannotCheck("Slack did not say which scopes the bot token has.")
        return granted

    async def status_and_clock(self) -> tuple[inspection.DatabaseStatus, float]:
        """Read the database's status, and by how many seconds its clock is ahead. Raises `DatabaseError`."""
        return await self.cache.get("status", self._status_and_clock)

    async def status(self) -> inspection.DatabaseStatus:
        """Read the database's status."""
        try:
            return (await self.status_and_clock())[0]
        except DatabaseError:
            raise CannotCheck("The database cannot be read.") from None

    async def migrated_status(self) -> inspection.DatabaseStatus:
        """Read the status of a database with this version's schema."""
        status = await self.status()
        if status.mismatch:
            raise CannotCheck("The database's schema does not match this version.")
        return status

    async def grants(self) -> GrantUsage:
        """Read the grants, and who uses theirs."""
        await self.migrated_status()
        return await self.cache.get("grants", self._grants)

    async def newest_rows(self) -> Sequence[Row]:
        """Read the newest rows of the audit trail, the newest last."""
        await self.migrated_status()
        try:
            return await inspection.newest_rows(self.database, NEWEST_ROWS)
        except DatabaseError as error:
            raise CannotCheck(str(error)) from None

    @property
    def uses_sqlite(self) -> bool:
        """Whether the database is a file."""
        return self.settings.database_url.get_backend_name() == "sqlite"

    async def _status_and_clock(self) -> tuple[inspection.DatabaseStatus, float]:
        began = time.time()
        status = await inspection.read_status(self.database)
        return status, status.now.timestamp() - (began + time.time()) / 2

    async def _grants(self) -> GrantUsage:
        try:
            return GrantUsage(*await inspection.grant_usage(self.database, self.settings.seal()))
        except DatabaseError as error:
            raise CannotCheck(str(error)) from None


@asynccontextmanager
async def open_context(settings: Settings, replicas: int) -> AsyncIterator[CheckContext]:
    """Prepare the clients of Slack and Turso and the database; nothing is read yet."""
    # Longer than the limit of `CallLimiter`, which stops calling a service that hangs.
    seconds = 2 * CALL_SECONDS
    agent = {"User-Agent": f"turso-rotate/{__version__} doctor"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=seconds)) as session,
        # Like the bot itself, ignore any proxy that the environment names.
        httpx.AsyncClient(timeout=seconds, headers=agent, trust_env=False) as http,
    ):
        slack, turso, cache = SlackReader(settings, session), TursoReader(settings, http), CallCache()
        database = open_database(settings.database_url)
        try:
            yield CheckContext(settings, replicas, slack, turso, database, cache)
        finally:
            for calls in (slack.cache, turso.cache, cache):
                await calls.aclose()
            await database.close()
