"""Announcements arrive: through an outage, a restart, a limit, and by one of two replicas; or are given up visibly."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession
from sqlalchemy import URL, Connection, select

from bot.domain.events import Action, RecordedEvent
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from bot.store.database import open_database
from bot.store.sqltypes import database_now
from bot.store.tables import outbox
from bot.store.trail import SqlTrail
from bot.trail.chain import UNKEYED
from bot.trail.records import EventFilter
from tests.databases import load_url
from tests.e2e.conftest import ALICE, Trail, announced, asks, connect
from tests.process import BotProcess
from tests.store import shell

pytestmark = pytest.mark.modes("http")

CONFIRM, CANCEL = "rotation:confirm", "rotation:cancel"
GROUPS = [f"group-{number:02}" for number in range(20)]
STORY = ["rotation.requested", "rotation.started", "rotation.succeeded"]
MINUTE, HOUR = 60, 3600


@pytest.fixture
async def turso() -> AsyncIterator[LocalTurso]:
    async with LocalTurso(groups=dict.fromkeys(GROUPS, ())) as organization:
        yield organization


@pytest.fixture
def url(settings: dict[str, str]) -> URL:
    return load_url(settings["DATABASE_URL"])


@pytest.mark.fault("F23")
async def test_slack_down_for_an_hour_loses_nothing(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, settings: dict[str, str], url: URL, trail: Trail
) -> None:
    cards = [await asks(slack, ALICE, group) for group in GROUPS[:4]]
    slack.fail("*", status=503)
    for card in cards[:3]:
        await slack.presses(ALICE, card, CONFIRM)
    await slack.presses(ALICE, cards[3], CANCEL)
    for attempts in range(7):
        await logged(bot, "not notified yet", 7 * (attempts + 1))
        await later(url, 10 * MINUTE)
    await logged(bot, "not notified yet", 7 * 8)
    pauses = await seconds_until_due(url)
    await bot.kills()
    slack.clear_faults()
    await later(url, 10 * MINUTE)
    await bot.start()
    await connect(slack, bot, settings)
    await until(lambda: empty(url))

    assert [len(announced(slack, group)) for group in GROUPS[:4]] == [1, 1, 1, 0]
    assert [told(slack, group) for group in GROUPS[:3]] == [1, 1, 1]
    assert len(pauses) == 7
    assert max(pauses) <= 10 * MINUTE
    assert turso.calls_to_rotate() == 3
    assert Counter(await trail()) == Counter(STORY * 3 + ["rotation.requested", "rotation.cancelled"])


async def test_what_nobody_could_be_told_for_a_day_is_given_up_visibly(
    slack: LocalSlack, bot: BotProcess, url: URL
) -> None:
    first, second = [await asks(slack, ALICE, group) for group in GROUPS[:2]]
    slack.fail("chat.postMessage", error="token_revoked")
    await slack.presses(ALICE, first, CONFIRM)
    await logged(bot, "not notified yet", 1)
    shell.run(url, "UPDATE outbox SET attempts = 500")  # how often it was tried ends nothing
    await later(url, 23 * HOUR)
    await logged(bot, "not notified yet", 2)
    before = await given_up(url)
    await slack.presses(ALICE, second, CONFIRM)
    await logged(bot, "not notified yet", 3)
    await later(url, 2 * HOUR)
    said = await bot.logs("notification given up")
    await logged(bot, "not notified yet", 4)
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{bot.port}/metrics") as answer:
        page = await answer.text()
    (row,) = await given_up(url)

    assert before == []
    assert (row.event.actor.user_id, row.event.group, row.event.rotation_id) == ("system", GROUPS[0], said["rotation"])
    assert row.event.detail["kind"] == "announcement"
    assert row.event.detail["why"] == "Slack answered token_revoked."
    assert said["level"] == "error"
    assert 'turso_rotate_notifications_given_up_total{kind="announcement"} 1.0' in page
    assert 'turso_rotate_notifications_given_up_total{kind="card"} 0.0' in page
    assert len(await seconds_until_due(url)) == 1  # the second one is younger than a day
    assert announced(slack) == []


async def test_slack_is_left_alone_for_as_long_as_it_says(slack: LocalSlack, bot: BotProcess, url: URL) -> None:
    cards = [await asks(slack, ALICE, group) for group in GROUPS[:3]]
    slack.fail("chat.postMessage", retry_after=3, times=1)
    await slack.presses(ALICE, cards[0], CONFIRM)
    await logged(bot, "not notified yet", 1)
    for card in cards[1:]:
        await slack.presses(ALICE, card, CONFIRM)
    await logged(bot, "rotation ended", 3)
    await until(lambda: empty(url))
    limited, *after = await slack.called("chat.postMessage", 4)

    assert limited.status == 429
    assert min(call.at for call in after) - limited.at >= 3
    assert [len(announced(slack, group)) for group in GROUPS[:3]] == [1, 1, 1]


class TestAHangingSlack:
    @pytest.fixture
    def changes(self) -> dict[str, str]:
        return {"CONFIRM_TTL": "2"}

    async def test_it_does_not_keep_requests_from_expiring(self, slack: LocalSlack, bot: BotProcess) -> None:
        for group in GROUPS[:3]:
            await asks(slack, ALICE, group)
        slack.fail("*", delay=4)
        await logged(bot, "request expired", 3)
        await slack.types(ALICE, f"/turso-rotate {GROUPS[3]}")
        await logged(bot, "request expired", 4)

        assert bot.output.count("card settled") <= 1
        assert "not notified yet" not in bot.output


@pytest.mark.databases("postgresql")
class TestTwoReplicas:
    async def test_they_never_tell_the_same_at_a_time(
        self, slack: LocalSlack, bot: BotProcess, settings: dict[str, str], url: URL, tmp_path: Path
    ) -> None:
        cards = [await asks(slack, ALICE, group) for group in GROUPS]
        slack.fail("*", retry_after=HOUR)
        await asyncio.gather(*(slack.presses(ALICE, card, CONFIRM) for card in cards))
        await until(lambda: all_put_off(url, 2 * len(GROUPS)))
        await bot.kills()
        slack.clear_faults()
        await bot.start()
        async with BotProcess(tmp_path, settings) as other:
            slack.fail("*", delay=0.2)  # long enough for the other to take the same one, if it could
            await later(url, HOUR)
            await until(lambda: empty(url))
            shares = [process.output.count('"event": "announced"') for process in (bot, other)]

        assert [len(announced(slack, group)) for group in GROUPS] == [1] * len(GROUPS)
        assert [told(slack, group) for group in GROUPS] == [1] * len(GROUPS)
        assert sum(shares) == len(GROUPS)
        assert min(shares) > 0


async def later(url: URL, seconds: int) -> None:
    """Let time go by for what is in the outbox."""
    earlier = {
        "postgresql": "{0} - interval '{1} seconds'",
        "sqlite": "strftime('%Y-%m-%dT%H:%M:%f', {0}, '-{1} seconds') || '000Z'",
    }[url.get_backend_name()]
    changes = ", ".join(f"{column} = {earlier.format(column, seconds)}" for column in ("created_at", "due_at"))
    await asyncio.to_thread(shell.run, url, f"UPDATE outbox SET {changes}")  # noqa: S608 - ours


async def logged(bot: BotProcess, event: str, times: int) -> None:
    """Wait until an event was logged so often."""
    async with asyncio.timeout(20), bot._changed:
        await bot._changed.wait_for(lambda: bot.output.count(f'"event": "{event}"') >= times)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Look at the database until it is so."""
    async with asyncio.timeout(40):
        while not await condition():  # noqa: ASYNC110 - a database calls nobody back
            await asyncio.sleep(0.1)


async def empty(url: URL) -> bool:
    """Say whether nobody is still to be told anything."""
    return await seconds_until_due(url) == []


async def all_put_off(url: URL, count: int) -> bool:
    """Say whether so many notifications wait for much longer than anybody holds one."""
    waiting = await seconds_until_due(url)
    return len(waiting) == count and min(waiting) > HOUR / 2


async def seconds_until_due(url: URL) -> list[float]:
    """Read how long each notification will wait."""

    def work(connection: Connection) -> list[float]:
        found = connection.execute(select(outbox.c.due_at, database_now().label("now")))
        return [(row.due_at - row.now).total_seconds() for row in found]

    database = open_database(url)
    try:
        return await database.read(work)
    finally:
        await database.close()


async def given_up(url: URL) -> list[RecordedEvent]:
    """Read the rows about notifications that were given up."""
    database = open_database(url)
    try:
        return list(await SqlTrail(database, UNKEYED).page(EventFilter(action=Action.GIVEN_UP), limit=10))
    finally:
        await database.close()


def told(slack: LocalSlack, group: str) -> int:
    """Count how often Alice was told that the group's tokens are rotated."""
    return sum(f"Done: the tokens of {group} are rotated" in message.plain for message in slack.visible_to(ALICE))
