"""The real process behind a connection pooler."""

from collections.abc import AsyncIterator

import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, Trail, asks, over
from tests.pooler import pooler
from tests.postgres import PostgresServer
from tests.process import BotProcess


@pytest.fixture
async def changes(database_url: str, postgres_server: PostgresServer) -> AsyncIterator[dict[str, str]]:
    async with pooler("stand-in", postgres_server.port, "transaction") as port:
        yield {"DATABASE_URL": over(port, database_url)}


@pytest.mark.modes("socket")
@pytest.mark.databases("postgresql")
@pytest.mark.fault("F50")
async def test_transactions_that_each_meet_another_session_rotate_once(
    slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
) -> None:
    for _ in range(3):
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, "rotation:confirm")
        await slack.sees(ALICE, "Done: the tokens of payments are rotated", since=slack.messages.index(card))

    assert turso.calls_to_rotate() == 3
    assert await trail() == ["rotation.requested", "rotation.started", "rotation.succeeded"] * 3
    assert "database unavailable" not in bot.output
