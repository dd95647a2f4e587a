"""The real process and how it reaches PostgreSQL: through a pooler, at a server with odd defaults, by any URL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.databases import load_url
from tests.e2e.conftest import ALICE, MALLORY, Trail, asks, over
from tests.pooler import pooler
from tests.postgres import PostgresServer
from tests.process import BotProcess, run
from tests.store import shell

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("postgresql")]


class TestThroughAPooler:
    @pytest.fixture
    async def changes(self, database_url: str, postgres_server: PostgresServer) -> AsyncIterator[dict[str, str]]:
        async with pooler("stand-in", postgres_server.port, "transaction") as port:
            yield {"DATABASE_URL": over(port, database_url)}

    @pytest.mark.fault("F50")
    async def test_transactions_that_each_meet_another_session_rotate_once(
        self, slack: LocalSlack, turso: LocalTurso, bot: BotProcess, trail: Trail
    ) -> None:
        for _ in range(3):
            card = await asks(slack, ALICE, "payments")
            await slack.presses(ALICE, card, "rotation:confirm")
            await slack.sees(ALICE, "Done: the tokens of payments are rotated", since=slack.messages.index(card))

        assert turso.calls_to_rotate() == 3
        assert await trail() == ["rotation.requested", "rotation.started", "rotation.succeeded"] * 3
        assert "database unavailable" not in bot.output


class TestStrictIsolation:
    @pytest.fixture
    def changes(self, database_url: str) -> dict[str, str]:
        url = load_url(database_url)
        shell.run(url, f"ALTER DATABASE {url.database} SET default_transaction_isolation = serializable")
        return {}

    @pytest.mark.usefixtures("bot")
    @pytest.mark.fault("F47")
    async def test_refusals_at_once_are_all_recorded(self, slack: LocalSlack, trail: Trail) -> None:
        await asyncio.gather(*(slack.types(MALLORY, "/turso-rotate payments") for _ in range(20)))
        await slack.called("response_url", 20)

        assert await trail() == ["rotation.denied"] * 20
        assert {message.plain.partition(".")[0] for message in slack.visible_to(MALLORY)} == {
            ":no_entry: You are not on the allowlist for payments"
        }


@pytest.mark.fault("F49")
@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"host": "127.0.0.1,127.0.0.1", "options": "-c search_path=public", "prepare_threshold": "0"}, 0),
        ({"options": "-X"}, 2),
        ({"pool_size": "5"}, 2),
    ],
    ids=["usable", "unusable", "unknown"],
)
async def test_a_database_url_is_honoured_or_refused_in_words(
    settings: dict[str, str], tmp_path: Path, parameters: dict[str, str], code: int
) -> None:
    url = make_url(settings["DATABASE_URL"])
    parameters = {**parameters, "port": f"1,{url.port}"} if code == 0 else parameters
    changed = url.update_query_dict(parameters).render_as_string(hide_password=False)
    found, _, err = await run(settings | {"DATABASE_URL": changed}, tmp_path, "allow", "list")

    assert found == code
    assert err.startswith("turso-rotate: DATABASE_URL: ") is (code != 0)
    assert "Traceback" not in err
