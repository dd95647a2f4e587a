"""Three real processes on one PostgreSQL, killed, restarted and cut off from it while people click: then the books."""

import asyncio
import itertools
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.domain.allowlist import Allowlist
from bot.domain.models import Actor, Organization, TeamId, UserId
from bot.sandbox.deliveries import Delivery
from bot.sandbox.faults import Fault
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from bot.slack.notifier import TAKEN_SECONDS
from bot.store.allowlist import SqlGrants
from bot.store.database import open_database
from bot.trail.chain import GENESIS, UNKEYED, Row
from tests.databases import load_url
from tests.e2e.conftest import ALICE, Stories, id_on
from tests.postgres import PostgresServer
from tests.process import BotProcess

# The way in makes no difference to the books; stories of kills and restarts run in both.
pytestmark = [pytest.mark.databases("postgresql"), pytest.mark.modes("socket")]

CONFIRM = "rotation:confirm"
GROUPS = [f"group-{number:02}" for number in range(45)]
PEOPLE = [Person(f"U0SOAK{number:04}", f"person{number}") for number in range(len(GROUPS))]
ASK_AGAIN_SECONDS = 0.2
PATIENCE_SECONDS = 3
ENDS = ("Done", "Failed", "Unknown")

Doors = Callable[[], str | None]
"""Gives the way to one of the processes, in turn, as a balancer of load would; `None` where Slack itself chooses."""


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=(ALICE, *PEOPLE)) as workspace:
        yield workspace


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups={"payments": (), "default": ()} | dict.fromkeys(GROUPS, ())) as organization:
        yield organization


class Insistent:
    """Somebody who tries again until it worked: types until the card is there, presses until it is settled."""

    def __init__(self, slack: LocalSlack, person: Person, group: str, door: Doors) -> None:
        self._slack = slack
        self._person = person
        self._door = door
        self.group = group
        self.cards: list[PostedMessage] = []
        self.in_vain = 0
        """How often the bot took something, and then nothing came."""

    async def rotates(self) -> None:
        """Ask, confirm, and read the outcome."""
        while not self.settled:
            card = next((card for card in self.cards if card.buttons), None)
            if card is None:
                await self._tries(self._slack.types(self._person, f"/turso-rotate {self.group}", over=self._door()))
                self.cards += [card for card in self._shown() if card not in self.cards]
            else:
                await self._tries(self._slack.presses(self._person, card, CONFIRM, over=self._door()))
                await self._reads(lambda: self.settled)

    @property
    def settled(self) -> bool:
        """Say whether an outcome stands anywhere in front of the person."""
        said = tuple(f"{end}: the tokens of {self.group} " for end in ENDS)
        return any(message.plain.startswith(said) for message in self._seen())

    async def _tries(self, attempt: Awaitable[Delivery]) -> None:
        """Try once; what the bot acknowledged, it must answer in some way."""
        before = self._changes()
        delivery = await attempt
        if not await self._reads(lambda: self._changes() > before) and delivery.status == 200:
            self.in_vain += 1

    async def _reads(self, arrived: Callable[[], bool]) -> bool:
        """Wait a while for what should come, and say whether it did."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._slack.changes.until(arrived)
        except TimeoutError:
            return False
        return True

    def _seen(self) -> list[PostedMessage]:
        return [each for each in self._slack.messages if each.ephemeral_to == self._person.user_id]

    def _changes(self) -> int:
        return sum(1 + len(message.versions) for message in self._seen())

    def _shown(self) -> list[PostedMessage]:
        title = f"Rotate the tokens of {self.group}?"
        return [message for message in self._seen() if message.plain.startswith(title)]


@pytest.mark.timeout(240)
async def test_three_replicas_keep_true_books_through_kills_restarts_and_a_lost_database(
    slack: LocalSlack,
    turso: LocalTurso,
    settings: dict[str, str],
    mode: str,
    tmp_path: Path,
    postgres_server: PostgresServer,
    stories: Stories,
) -> None:
    turso.inject(Fault(delay=0.3))
    await _allowed(settings)
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(BotProcess(tmp_path, settings)) for _ in range(3)]
        one, two, _ = replicas
        turns = itertools.cycle(replicas)

        def door() -> str | None:
            return f"http://127.0.0.1:{next(turns).port}/slack/events" if mode == "http" else None

        people = [Insistent(slack, *each, door) for each in zip(PEOPLE, GROUPS, strict=True)]
        said: list[str] = []
        if mode == "socket":
            await slack.connected(3)
        working = asyncio.gather(*(person.rotates() for person in people[:15]))
        await turso.reached(3)
        await _again(one, said, signal.SIGKILL)  # in the middle of calls
        await working

        working = asyncio.gather(*(person.rotates() for person in people[15:30]))
        for replica in replicas:  # a rolling restart
            await _again(replica, said, signal.SIGTERM)
        await working

        working = asyncio.gather(*(person.rotates() for person in people[30:]))
        await asyncio.to_thread(postgres_server.restart)
        await _again(two, said, signal.SIGKILL)
        await working
        await _quiet(settings)
        said += [replica.output for replica in replicas]
    sys.stdout.writelines(said)
    told = await stories()
    confirmed = {rotation: story for rotation, story in told.items() if "rotation.started" in story}
    ends = [story[-1] for story in confirmed.values()]

    assert len(confirmed) >= len(GROUPS)
    assert sum(turso.calls_to_rotate(group) for group in GROUPS) <= len(confirmed)
    assert [person.in_vain for person in people[15:30]] == [0] * 15
    for person in people:
        mine = [told[id_on(card)] for card in person.cards if id_on(card) in confirmed]
        fewest = sum(story[-1] == "rotation.succeeded" for story in mine)
        most = sum(story[-1] != "rotation.failed" for story in mine)
        assert fewest <= turso.calls_to_rotate(person.group) <= most, (person.group, mine)
        assert person.settled
    assert set(_announced(slack)) == set(confirmed)
    # Of those who were cut off, the card may be out of reach: they were told by a message of its own.
    assert not any(card.buttons for person in people[15:30] for card in person.cards if id_on(card) in confirmed)
    assert ends.count("rotation.succeeded") >= len(GROUPS) * 0.6
    assert not any("Traceback" in output for output in said)
    assert await _chained(settings) == sum(map(len, told.values())) + 2 + len(PEOPLE)  # and the grants


async def _allowed(settings: dict[str, str]) -> None:
    """Let everybody rotate their group."""
    database = open_database(load_url(settings["DATABASE_URL"]))
    allowlist = Allowlist(SqlGrants(database, UNKEYED), Actor.on_terminal("root"), Organization("acme"))
    for person, group in zip(PEOPLE, GROUPS, strict=True):
        await allowlist.add(Actor(TeamId(person.team_id), UserId(person.user_id)), group)
    await database.close()


async def _again(replica: BotProcess, said: list[str], number: signal.Signals) -> None:
    """End a replica, and start it again."""
    await replica.signals(number)
    code = await replica.ended()
    said.append(replica.output)
    assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    await replica.start()


def _announced(slack: LocalSlack) -> list[str]:
    """Name the rotations that the channel was told about."""
    return [id_on(message) for message in slack.messages if message.channel == "C0AUDIT" and not message.ephemeral_to]


async def _quiet(settings: dict[str, str]) -> None:
    """Wait until no rotation is under way and nobody is still to be told.

    What a killed process had in hand is taken by another one only after a minute. The last change is the deletion of
    an errand, which nobody outside the database hears of: it is asked again and again.
    """
    database = open_database(load_url(settings["DATABASE_URL"]))
    left = text("SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM rotations WHERE state = 'rotating')")
    try:
        async with asyncio.timeout(TAKEN_SECONDS + 30):
            while await database.read(lambda connection: connection.execute(left).scalar_one()):  # noqa: ASYNC110 - no event crosses over
                await asyncio.sleep(ASK_AGAIN_SECONDS)
    finally:
        await database.close()


async def _chained(settings: dict[str, str]) -> int:
    """Check that every row is sealed to the one before; returns their number."""
    database = open_database(load_url(settings["DATABASE_URL"]))
    at = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    names = ", ".join(f'"{name}"' for name in Row._fields[2:])
    query = text(f"SELECT seq, {at}, {names} FROM audit_events ORDER BY seq")  # noqa: S608 - names of columns
    try:
        rows = await database.read(lambda connection: [Row(*row) for row in connection.execute(query)])
    finally:
        await database.close()
    for last, row in itertools.pairwise([None, *rows]):
        assert row is not None
        assert row.seq == (last.seq if last else 0) + 1
        assert row.prev_hash == (last.hash if last else GENESIS)
        assert row.hash == UNKEYED.hash(row)
    return len(rows)
