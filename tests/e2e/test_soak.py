"""Three real processes on one PostgreSQL, killed, restarted and cut off from it while people click: then the books."""

import asyncio
import itertools
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from bot.chain import GENESIS, UNKEYED, Row
from bot.sandbox.faults import Fault
from bot.sandbox.slack import LocalSlack, Message
from bot.sandbox.turso import LocalTurso
from bot.slack.courier import TAKEN_SECONDS
from bot.store.database import open_database
from tests.e2e.conftest import ALICE, Stories, id_on, load_url
from tests.postgres import PostgresServer
from tests.process import BotProcess

CONFIRM = "rotation:confirm"
GROUPS = [f"group-{number:02}" for number in range(45)]
ASK_AGAIN_SECONDS = 0.2
ENDS = ("Done", "Failed", "Unknown")
CALLED = {"rotation.succeeded": {1}, "rotation.failed": {0}, "rotation.unknown": {0, 1}}


@pytest.fixture
def mode() -> str:
    return "socket"


@pytest.fixture
def database_url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups={"payments": (), "default": ()} | dict.fromkeys(GROUPS, ())) as organization:
        yield organization


class Person:
    """Somebody who tries again until it worked: types until the card is there, presses until it is settled."""

    def __init__(self, slack: LocalSlack, group: str) -> None:
        self._slack = slack
        self.group = group
        self.cards: list[Message] = []

    async def rotates(self) -> None:
        """Ask, confirm, and read the outcome."""
        while not self.settled:
            card = next((card for card in self.cards if card.buttons), None) or await self._asks()
            if card is not None and not self.settled:
                await self._slack.presses(ALICE, card, CONFIRM)
                await self._reads(lambda: self.settled)

    @property
    def settled(self) -> bool:
        """Say whether an outcome stands anywhere in front of the person."""
        said = tuple(f"{end}: the tokens of {self.group} " for end in ENDS)
        return any(message.plain.startswith(said) for message in self._slack.visible_to(ALICE))

    async def _asks(self) -> Message | None:
        await self._slack.types(ALICE, f"/turso-rotate {self.group}")
        await self._reads(lambda: bool(self._shown()))
        self.cards += [card for card in self._shown() if card not in self.cards]
        return self.cards[-1] if self.cards else None

    def _shown(self) -> list[Message]:
        title = f"Rotate the tokens of {self.group}?"
        return [message for message in self._slack.visible_to(ALICE) if message.plain.startswith(title)]

    async def _reads(self, arrived: object) -> None:
        """Wait a while for what should come; a kill or a restart may have swallowed it."""
        assert callable(arrived)
        try:
            async with asyncio.timeout(3):
                await self._slack.workspace.feed.until(arrived)
        except TimeoutError:
            pass


@pytest.mark.timeout(240)
async def test_three_replicas_keep_true_books_through_kills_restarts_and_a_lost_database(
    slack: LocalSlack,
    turso: LocalTurso,
    settings: dict[str, str],
    tmp_path: Path,
    postgres_server: PostgresServer,
    stories: Stories,
) -> None:
    turso.trouble(Fault(delay=0.3))
    people = [Person(slack, group) for group in GROUPS]
    async with AsyncExitStack() as stack:
        one, two, three = [await stack.enter_async_context(BotProcess(tmp_path, settings)) for _ in range(3)]
        await slack.connected(3)
        working = asyncio.gather(*(person.rotates() for person in people[:15]))
        await turso.reached(3)
        await one.kills()  # in the middle of calls
        await one.start()
        await working

        working = asyncio.gather(*(person.rotates() for person in people[15:30]))
        for process in (one, two, three):  # a rolling restart
            await process.signals(signal.SIGTERM)
            assert await process.ended() == 0
            await process.start()
        await working

        working = asyncio.gather(*(person.rotates() for person in people[30:]))
        await asyncio.to_thread(postgres_server.restart)
        await two.kills()
        await two.start()
        await working
        await _quiet(settings)
        for process in (one, two, three):
            sys.stdout.write(process.output)

    told = await stories()
    confirmed = {rotation: story for rotation, story in told.items() if "rotation.started" in story}
    ends = [story[-1] for story in confirmed.values()]
    assert len(confirmed) >= len(GROUPS)
    assert sum(turso.calls_to_rotate(group) for group in GROUPS) <= len(confirmed)
    for person in people:
        mine = [told[id_on(card)] for card in person.cards if id_on(card) in confirmed]
        fewest = sum(story[-1] == "rotation.succeeded" for story in mine)
        most = sum(story[-1] != "rotation.failed" for story in mine)
        assert fewest <= turso.calls_to_rotate(person.group) <= most, (person.group, mine)
        assert person.settled
        assert all(not card.buttons or id_on(card) not in confirmed for card in person.cards[-1:]), person.group
    assert ends.count("rotation.succeeded") >= len(GROUPS) * 0.6
    assert "Traceback" not in one.output + two.output + three.output
    assert await _chained(settings) == sum(map(len, told.values())) + 2  # and two grants


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
