"""What goes wrong: the processes, the database, Turso, Slack, and the grants."""

import asyncio
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bot.sandbox.faults import Fault, FixedResponse, Hang
from bot.sandbox.local_slack import LocalSlack
from tests.faults import TruncatedBody, TruncatedHeaders
from tests.postgres import PostgresServer
from tests.process import run
from tests.torture.cast import GRANTED, GROUPS, MEMBERS
from tests.torture.facts import GrantChange
from tests.torture.ledger import Ledger
from tests.torture.replica import Replica
from tests.torture.schedule import Planned
from tests.torture.witness import Witness

_ALREADY = 2
"""The exit code of a command that finds the grant as it should be: its first try had worked after all."""
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'turso-rotate'"
_RECONNECT_SECONDS = 5.0
_ERROR = b'{"error": "internal server error"}'


@dataclass(frozen=True, slots=True)
class _Performed(FixedResponse):
    """Answer with a status that usually denies the work, after it was done."""

    def takes_effect(self, *, reused: bool) -> bool:  # noqa: ARG002 - see `Fault`
        return True


@dataclass(frozen=True)
class Stage:
    """What troubles can befall."""

    folder: Path
    settings: Mapping[str, str]
    database_url: str
    slack: LocalSlack
    turso: Witness
    replicas: Sequence[Replica]
    ledger: Ledger
    server: PostgresServer | None
    """`None`: the database is a file."""


class Troubles:
    """Each method is a trouble; it lasts as long as planned, and is over when the method returns."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._ledger = stage.ledger

    async def befall(self, family: Sequence[Planned], began: float) -> None:
        """Let the troubles of one family come, each at its time of the loop's clock."""
        loop = asyncio.get_running_loop()
        for planned in family:
            await asyncio.sleep(began + planned.at - loop.time())
            await getattr(self, planned.name)(planned)

    # The processes. Half of these troubles wait for a press, and come while it is worked on.

    async def kill(self, planned: Planned) -> None:
        """Kill -9."""
        await self._aim(planned)
        await self._replica(planned).again(signal.SIGKILL, planned.lasts)

    async def restart(self, planned: Planned) -> None:
        """End it politely, and start it again."""
        await self._replica(planned).again(signal.SIGTERM, planned.lasts)

    async def pause(self, planned: Planned) -> None:
        """Let it stand still, as a closed laptop does."""
        await self._aim(planned)
        await self._replica(planned).stand_still(planned.lasts)

    async def _aim(self, planned: Planned) -> None:
        if planned.chance > 0.5:
            await self._replica(planned).is_pressed(seconds=2.0)
            await asyncio.sleep((planned.chance - 0.5) / 10)

    def _replica(self, planned: Planned) -> Replica:
        return self._stage.replicas[planned.replica]

    # The database.

    async def server_crashes(self, planned: Planned) -> None:
        """Crash PostgreSQL, and start it again."""
        assert self._stage.server is not None
        with self._ledger.trouble("database", "crashed"):
            await asyncio.to_thread(self._stage.server.stop, "immediate")
            await asyncio.sleep(planned.lasts)
            await asyncio.to_thread(self._stage.server.start)

    async def server_stands_still(self, planned: Planned) -> None:
        """Let PostgreSQL fall silent."""
        assert self._stage.server is not None
        with self._ledger.trouble("database", "stood still"), self._stage.server.paused():
            await asyncio.sleep(planned.lasts)

    async def database_is_read_only(self, planned: Planned) -> None:
        """Give new sessions a database that refuses writes, and end the old ones."""
        with self._ledger.trouble("database", "was read-only"):
            await asyncio.to_thread(self._alter, "default_transaction_read_only = on")
            await asyncio.sleep(planned.lasts)
            await asyncio.to_thread(self._alter, None)

    async def file_is_locked(self, planned: Planned) -> None:
        """Hold SQLite's lock for writers."""
        with self._ledger.trouble("database", "was locked"), self._locked():
            await asyncio.sleep(planned.lasts)

    def _alter(self, setting: str | None) -> None:
        address, _, name = self._stage.database_url.rpartition("/")
        change = f"SET {setting}" if setting else "RESET default_transaction_read_only"
        with psycopg.connect(f"{address}/postgres", autocommit=True, connect_timeout=5) as connection:
            connection.execute(f'ALTER DATABASE "{name}" {change}'.encode())
            if setting:
                connection.execute(_END_SESSIONS)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        connection = sqlite3.connect(
            self._stage.database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=0.5
        )
        try:
            with suppress(sqlite3.OperationalError):  # a process that stands still has it already
                connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()

    # Turso.

    async def turso_answers_5xx(self, planned: Planned) -> None:
        """Let it rotate or not, and answer that something broke."""
        status = (500, 502, 503, 504)[int(planned.chance * 4)]
        await self._turso(planned, FixedResponse(status, _ERROR, performs=planned.chance * 8 % 2 < 1))

    async def turso_hangs(self, planned: Planned) -> None:
        """Let it rotate, and answer only when the caller has left."""
        await self._turso(planned, Hang())

    async def turso_breaks_off(self, planned: Planned) -> None:
        """Let it rotate, and break off in the middle of the answer."""
        await self._turso(planned, TruncatedBody() if planned.chance < 0.5 else TruncatedHeaders())

    async def turso_is_slow(self, planned: Planned) -> None:
        """Let it answer late, sometimes too late."""
        await self._turso(planned, Fault(delay=0.3 + planned.chance))

    async def turso_limits(self, planned: Planned) -> None:
        """Let it answer 429."""
        headers = {"Retry-After": str(round(planned.chance))}
        await self._turso(planned, FixedResponse(429, b'{"error": "too many requests"}', headers))

    async def turso_answers_408(self, planned: Planned) -> None:
        """Let it rotate, and answer as if it had not."""
        await self._turso(planned, _Performed(408, _ERROR))

    async def turso_answers_html(self, planned: Planned) -> None:
        """Let something in between answer with a page."""
        await self._turso(planned, FixedResponse(200, b"<html>Sign in to continue</html>"))

    async def turso_refuses(self, planned: Planned) -> None:
        """Let it refuse, and do nothing."""
        await self._turso(planned, FixedResponse((401, 403)[round(planned.chance)], b'{"error": "not authorized"}'))

    async def turso_refuses_connections(self, planned: Planned) -> None:
        """Take it off the network."""
        with self._ledger.trouble("turso", "refused connections"):
            await self._stage.turso.go_offline()
            await asyncio.sleep(planned.lasts)
            await self._stage.turso.go_online()

    async def _turso(self, planned: Planned, fault: Fault) -> None:
        with self._ledger.trouble("turso", planned.name):
            self._stage.turso.inject(fault)
            await asyncio.sleep(planned.lasts)
            self._stage.turso.clear_faults()

    # Slack.

    async def slack_fails(self, planned: Planned) -> None:
        """Let its API answer 500."""
        async with self._slack(planned) as slack:
            slack.fail("*", status=500)

    async def slack_is_slow(self, planned: Planned) -> None:
        """Let its API answer late."""
        async with self._slack(planned) as slack:
            slack.fail("*", delay=0.5 + planned.chance)

    async def slack_limits(self, planned: Planned) -> None:
        """Let it answer 429 to what is posted."""
        async with self._slack(planned) as slack:
            slack.fail("chat.postMessage", retry_after=1)

    async def slack_keeps_its_answers(self, planned: Planned) -> None:
        """Let it post, and close the connection without an answer."""
        async with self._slack(planned) as slack:
            slack.fail("chat.postMessage", drop=True, performs=True)

    async def response_urls_are_dead(self, planned: Planned) -> None:
        """Let nothing come of what is sent to a `response_url`."""
        async with self._slack(planned) as slack:
            slack.fail("response_url", status=404)

    async def slack_refuses_connections(self, planned: Planned) -> None:
        """Take it off the network, sockets included."""
        async with self._slack(planned, "sockets") as slack:
            await slack.go_offline()

    async def sockets_are_lost(self, planned: Planned) -> None:
        """Drop every socket, or announce it first."""
        async with self._slack(planned, "sockets") as slack:
            if planned.chance < 0.5:
                slack.drop_connections()
            else:
                await slack.disconnect()

    @asynccontextmanager
    async def _slack(self, planned: Planned, kind: str = "slack") -> AsyncIterator[LocalSlack]:
        slack = self._stage.slack
        with self._ledger.trouble(kind, planned.name), self._ledger.trouble("slack", planned.name):
            yield slack
            await asyncio.sleep(planned.lasts)
            slack.clear_faults()
            await slack.go_online()
            if kind == "sockets" and slack.request_url is None and "SLACK_APP_TOKEN" in self._stage.settings:
                await self._sockets_are_back()

    async def _sockets_are_back(self) -> None:
        sockets = self._stage.slack._server.sockets
        with suppress(TimeoutError):
            async with asyncio.timeout(_RECONNECT_SECONDS):
                await self._stage.slack.changes.until(lambda: len(sockets) == len(self._stage.replicas))

    # People outside Slack.

    async def grants_are_taken(self, planned: Planned) -> None:
        """Take somebody's grants, and give them back later."""
        person = MEMBERS[int(planned.chance * len(MEMBERS))]
        await self.change_grants(person.user_id, person.team_id, given=False)
        await asyncio.sleep(planned.lasts)
        await self.change_grants(person.user_id, person.team_id, given=True)

    async def somebody_notes(self, planned: Planned) -> None:
        """Note a rotation that was made by hand."""
        group = GROUPS[int(planned.chance * len(GROUPS))]
        await self._command("audit", "note", group, "--note", "made by hand")

    async def change_grants(self, user_id: str, team_id: str, *, given: bool) -> None:
        """Give or take a grant at a terminal; it is given back even if that takes several tries."""
        verb, which = ("add", ("--group", GRANTED)) if given else ("remove", ())
        done = False
        while not done:
            at = time.time()
            code = await self._command("allow", verb, user_id, "--team", team_id, *which)
            done = code == 0 or (given and code == _ALREADY)
            self._ledger.grant_changes.append(GrantChange(at, time.time(), user_id, given=given, done=done))
            if not given:
                return

    async def _command(self, *arguments: str) -> int:
        settings = {name: value for name, value in self._stage.settings.items() if name != "SLACK_BOT_TOKEN"}
        code, out, err = await run(settings, self._stage.folder, *arguments)
        self._ledger.logs += [line + "\n" for line in (out + err).splitlines()]
        return code
