"""People are told what stands on record, once, and for as long as there is no way to tell them it is not forgotten."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import ClientSession
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.events import Action
from bot.domain.models import Actor, ChannelId, Rotation
from bot.domain.states import State
from bot.ops.metrics import Metrics
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.workspace import Person
from bot.slack.notifier import Notifier
from bot.slack.payloads import ResponseUrl
from bot.slack.replies import Reply
from bot.slack.rotate import outcome
from bot.store.database import open_database
from bot.trail.records import EventFilter
from tests.databases import load_url
from tests.store import shell
from tests.store.attack import attack
from tests.store.conftest import ALICE, Store

EARLIER = {
    "postgresql": "UPDATE outbox SET created_at = created_at - interval '{0} hours', "
    "due_at = due_at - interval '{0} hours'",
    "sqlite": "UPDATE outbox SET created_at = strftime('%Y-%m-%dT%H:%M:%f', created_at, '-{0} hours') || '000Z', "
    "due_at = strftime('%Y-%m-%dT%H:%M:%f', due_at, '-{0} hours') || '000Z'",
}


@dataclass
class World:
    """A store, a Slack, and the notifier between them."""

    store: Store
    slack: LocalSlack
    notifier: Notifier

    async def ends(self, state: State) -> Rotation:
        """Let a rotation of Alice's come to its end, and give it as it then stands."""
        rotation = await self.store.request()
        await self.store.claim(rotation, await self.store.grant())
        ended = await self.store.move(rotation, State.ROTATING, state, "c1")
        assert ended is not None
        return ended

    async def turns_out(self, rotation: Rotation, state: State) -> None:
        """Let the truth about an unknown rotation come on record."""
        assert await self.store.move(rotation, State.UNKNOWN, state, "c1") is not None

    async def waits(self, hours: int) -> None:
        """Let time go by for what is in the outbox."""
        await asyncio.to_thread(shell.run, self.store.url, EARLIER[self.store.url.get_backend_name()].format(hours))

    async def notifications(self) -> int:
        """Count what people are still to be told."""
        count = "SELECT count(*) FROM outbox"
        return await self.store.database.read(lambda connection: connection.exec_driver_sql(count).scalar_one())

    def said(self, words: str) -> int:
        """Count the messages in which these words stand."""
        return sum(words in message.plain for message in self.slack.messages)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    url = load_url(database_url)
    store = Store(url, open_database(url))
    async with LocalSlack(people=(Person(ALICE.user_id, "alice"),)) as slack, ClientSession() as session:
        web = AsyncWebClient("xoxb-local-bot", base_url=slack.api_url, session=session)

        def reply_to(reader: Actor, channel: ChannelId, response_url: ResponseUrl | None) -> Reply:
            return Reply(web, session, reader, channel, response_url)

        notifier = Notifier(
            store.outbox,
            store.rotations,
            store.trail,
            web=web,
            reply_to=reply_to,
            audit_channel=ChannelId("C0AUDIT"),
            metrics=Metrics("test"),
            ended=outcome.ended,
            announcement=outcome.announcement,
        )
        yield World(store, slack, notifier)
    await store.database.close()


async def test_an_outcome_that_has_been_overtaken_is_told_as_it_stands(world: World) -> None:
    seen = await world.ends(State.UNKNOWN)
    await world.turns_out(seen, State.SUCCEEDED)
    told = await world.notifier.notify(seen)

    assert told
    assert world.said("Done: the tokens of payments are rotated") == 1
    assert world.said("rotated the tokens of `payments`") == 1
    assert world.said("Whether that happened is unknown") == world.said("Unknown: the tokens") == 0
    assert await world.notifications() == 0


@pytest.mark.fault("F53")
async def test_what_cannot_be_read_holds_up_no_other_notification(world: World) -> None:
    unread, misaddressed, told = [await world.ends(State.SUCCEEDED) for _ in range(3)]
    await world.waits(1)
    await asyncio.to_thread(
        attack,
        world.store.url,
        f"UPDATE rotations SET detail = '' WHERE id = '{unread.id}'",  # noqa: S608 - the owner's
        f"UPDATE outbox SET kind = 'letter' WHERE rotation_id = '{misaddressed.id}' AND kind = 'card'",  # noqa: S608 - the owner's
    )
    failed: dict[str, str] = {}
    await world.notifier.send_due(lambda key, error: failed.update({key: str(error)}))

    assert failed == {
        f"Rotation {unread.id}": f"Rotation {unread.id} cannot be read: its detail is not JSON.",
        "Notification 3": "Notification 3 cannot be read: it holds what the bot never writes.",
    }
    assert world.said("Done: the tokens of payments are rotated") == 1
    assert world.said("rotated the tokens of `payments`") == 2
    assert await world.notifications() == 3
    assert told.state is State.SUCCEEDED


@pytest.mark.fault("F23")
async def test_what_happened_while_slack_was_away_is_told_once(world: World) -> None:
    unknown = await world.ends(State.UNKNOWN)
    world.slack.fail("*", status=503)
    await world.notifier.notify(unknown)
    await world.turns_out(unknown, State.SUCCEEDED)
    world.slack.clear_faults()
    await world.waits(1)
    await world.notifier.send_due()

    assert world.said("Done: the tokens of payments are rotated") == 1
    assert world.said("rotated the tokens of `payments`") == 1
    assert world.said("Unknown: the tokens") == 0
    assert await world.notifications() == 0


async def test_a_channel_that_the_bot_is_not_in_is_told_once_it_was_invited(world: World) -> None:
    world.slack.workspace.joined.discard("C0AUDIT")
    await world.notifier.notify(await world.ends(State.SUCCEEDED))
    await world.waits(1)
    await world.notifier.send_due()
    before = world.said("rotated the tokens of `payments`")
    world.slack.workspace.joined.add("C0AUDIT")
    await world.waits(1)
    await world.notifier.send_due()

    assert before == 0
    assert world.said("I could not announce this") == 1
    assert world.said("rotated the tokens of `payments`") == 1
    assert await world.notifications() == 0


async def test_a_channel_that_lets_nobody_in_for_a_day_is_given_up_on_record(world: World) -> None:
    world.slack.workspace.joined.discard("C0AUDIT")
    ended = await world.ends(State.SUCCEEDED)
    await world.notifier.notify(ended)
    await world.waits(25)
    await world.notifier.send_due()
    (row,) = await world.store.trail.page(EventFilter(action=Action.GIVEN_UP), limit=10)

    assert row.event.rotation_id == ended.id
    assert row.event.detail["why"] == "Slack answered not_in_channel."
    assert await world.notifications() == 0


async def test_a_press_that_comes_before_the_news_is_the_news(world: World) -> None:
    ended = await world.ends(State.FAILED)
    first, second = await world.notifier.notify(ended), await world.notifier.notify(ended)

    assert (first, second) == (True, False)
    assert world.said("Failed: the tokens of payments were not rotated") == 1
