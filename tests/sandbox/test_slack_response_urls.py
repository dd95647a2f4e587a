"""What an app can do with a `response_url`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person

ALICE = Person("UALICE", "alice")
BOB = Person("UBOB", "bob")
CARD = [
    {
        "type": "actions",
        "elements": [{"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}],
    }
]


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[LocalSlack]:
    async with LocalSlack(people=[ALICE, BOB], clock=clock) as slack:
        yield slack


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as http:
        yield http


@pytest.fixture
async def url(slack: LocalSlack) -> str:
    """Give the URL of a command; that nobody acknowledges it does not matter."""
    return str((await slack.types(ALICE, "/turso-rotate payments")).response_url)


@pytest.fixture
async def card(slack: LocalSlack, http: httpx.AsyncClient, url: str) -> PostedMessage:
    await http.post(url, json={"text": "Go?", "blocks": CARD})
    return await slack.sees(ALICE, "Go?")


async def test_an_answer_is_ephemeral_unless_it_says_otherwise(
    slack: LocalSlack, http: httpx.AsyncClient, url: str
) -> None:
    answer = await http.post(url, json={"text": "psst"})
    await http.post(url, json={"text": "hear ye", "response_type": "in_channel"})

    assert (answer.status_code, answer.text) == (200, "ok")
    assert [message.text for message in slack.visible_to(BOB)] == ["hear ye"]
    assert [call.method for call in slack.calls] == ["response_url", "response_url"]


async def test_the_sixth_answer_is_refused(slack: LocalSlack, http: httpx.AsyncClient, url: str) -> None:
    answers = [await http.post(url, json={"text": "again"}) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [404]
    assert answers[-1].json() == {"ok": False, "error": "used_url"}


async def test_after_half_an_hour_it_is_refused(clock: Clock, http: httpx.AsyncClient, url: str) -> None:
    clock.now += 30 * 60 + 1
    answer = await http.post(url, json={"text": "late"})

    assert (answer.status_code, answer.json()["error"]) == (404, "expired_url")


async def test_a_commands_url_replaces_nothing(
    slack: LocalSlack, http: httpx.AsyncClient, url: str, card: PostedMessage
) -> None:
    await http.post(url, json={"text": "Went.", "replace_original": True})

    assert (card.versions, len([each for each in slack.messages if each.via == "response_url"])) == ([], 2)


async def test_a_clicks_url_replaces_the_ephemeral_card(
    slack: LocalSlack, http: httpx.AsyncClient, card: PostedMessage
) -> None:
    click = await slack.presses(ALICE, card, "go")
    await http.post(str(click.response_url), json={"text": "Went.", "replace_original": True})

    assert await slack.sees(ALICE, "Went.") is card
    assert (card.buttons, card.versions[0].text, card.ephemeral_to) == ([], "Go?", "UALICE")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"blocks": [{"type": "unheard-of"}]}, "invalid_blocks"),
        ({"text": ""}, "no_text"),
        (["not", "an", "object"], "invalid_payload"),
    ],
)
async def test_rubbish_is_refused(http: httpx.AsyncClient, url: str, body: object, error: str) -> None:
    answer = await http.post(url, json=body)

    assert (answer.status_code, answer.json()) == (400, {"ok": False, "error": error})


async def test_a_url_that_was_never_issued_is_unknown(slack: LocalSlack, http: httpx.AsyncClient) -> None:
    answer = await http.post(slack.api_url.replace("/api/", "/response/made-up"), json={"text": "x"})

    assert answer.status_code == 404
