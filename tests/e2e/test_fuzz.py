"""Whatever comes through the door, signed or not: no 500, no unhandled exception, bounded memory."""

import copy
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import psutil
import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso
from tests.e2e.conftest import ALICE, asks
from tests.e2e.test_endpoint import FORM, JSON, knocks, signed
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("http"), pytest.mark.databases("sqlite")]

MEGABYTE = 1_000_000
THOROUGH = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
# Surrogates cannot travel in UTF-8; everything else can.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)
COMMAND: dict[str, Any] = {
    "command": "/turso-rotate",
    "text": "payments why",
    "team_id": ALICE.team_id,
    "user_id": ALICE.user_id,
    "channel_id": "C0INCIDENT",
    "response_url": "http://127.0.0.1:9/nowhere",
    "trigger_id": "1.2.3",
}
PRESS: dict[str, Any] = {
    "type": "block_actions",
    "team": {"id": ALICE.team_id},
    "user": {"id": ALICE.user_id, "team_id": ALICE.team_id},
    "channel": {"id": "C0INCIDENT"},
    "trigger_id": "4.5.6",
    "response_url": "http://127.0.0.1:9/nowhere",
}
PLACE = '{"group":"payments","outcome":"failed","period":"7d","before":["2026-11-24T03:00:00+00:00","62xrejy87vfv9"]}'
BUTTONS = ("history:older", "history:newer", "history:details", "home:older", "home:newer", "home:again", "home:clear")
MENUS = ("home:group", "home:outcome", "home:period", "home:cancel", "home:nothing")
ON_A_CARD: dict[str, dict[str, Any]] = {
    button: PRESS | {"actions": [{"type": "button", "action_id": button, "block_id": "b", "value": "0123456789abc"}]}
    for button in ("rotation:confirm", "rotation:cancel", "rotation:nothing")
}
ON_A_PAGE: dict[str, dict[str, Any]] = {
    button: PRESS | {"actions": [{"type": "button", "action_id": button, "block_id": "b", "value": PLACE}]}
    for button in BUTTONS
}
ON_THE_HOME_TAB: dict[str, dict[str, Any]] = {
    action: {part: PRESS[part] for part in ("type", "team", "user", "trigger_id")}
    | {
        "view": {"id": "V1", "type": "home", "private_metadata": PLACE},
        "actions": [
            {"type": "static_select", "action_id": action, "block_id": "b", "selected_option": {"value": "7d"}}
            | {"value": PLACE, "selected_user": ALICE.user_id}
        ],
    }
    for action in (*BUTTONS, *MENUS, "home:person")
}
EVENT: dict[str, Any] = {
    "type": "event_callback",
    "team_id": ALICE.team_id,
    "event": {"type": "app_home_opened", "user": ALICE.user_id, "tab": "home", "channel": "D1"},
    "event_id": "Ev1",
}


@pytest.fixture
async def calm(slack: LocalSlack, turso: LocalTurso, bot: BotProcess) -> AsyncIterator[None]:
    """Check after the storm that the bot stands as it stood."""
    await asks(slack, ALICE, "payments")  # warm
    process = psutil.Process(bot.pid)
    before = process.memory_info().rss
    yield
    await asks(slack, ALICE, "default")
    assert "Traceback" not in bot.output
    assert "uncaught" not in bot.output
    assert '"where": "bot.' not in bot.output  # Bolt may stumble over a payload, not we
    assert turso.calls_to_rotate() == 0
    assert process.memory_info().rss - before < 40 * MEGABYTE


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the way to everything in a payload."""
    yield path
    items: Any = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from places(child, (*path, key))


@st.composite
def spoiled(draw: st.DrawFn, payload: dict[str, Any]) -> dict[str, Any]:
    """Replace or drop a few parts of a payload that would be right."""
    spoilt = copy.deepcopy(payload)
    for path in draw(st.lists(st.sampled_from([path for path in places(payload) if path]), min_size=1, max_size=3)):
        try:
            parent: Any = spoilt
            for key in path[:-1]:
                parent = parent[key]
            if draw(st.booleans()):
                parent[path[-1]] = draw(VALUES)
            else:
                del parent[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue  # it lies in a part that is spoiled already
    return spoilt


# Written as the bot writes them, with anything in their parts.
places_in_history = st.dictionaries(
    st.sampled_from(["group", "person", "outcome", "period", "before", "after"]), VALUES
).map(json.dumps)


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(body=st.binary(max_size=3000), kind=st.sampled_from([FORM, JSON, "text/plain", ""]), genuine=st.booleans())
async def test_any_bytes(body: bytes, kind: str, genuine: bool, door: str, session: ClientSession) -> None:  # noqa: FBT001 - drawn
    headers = signed(body, kind) if genuine else {"Content-Type": kind}

    assert await knocks(session, door, body, headers) < 500


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(content=VALUES, form=st.booleans())
async def test_any_json(content: Any, form: bool, door: str, session: ClientSession) -> None:  # noqa: FBT001 - drawn
    text = json.dumps(content)
    body = urlencode({"payload": text}).encode() if form else text.encode()

    assert await knocks(session, door, body, signed(body, FORM if form else JSON)) < 500


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(fields=spoiled(COMMAND))
async def test_any_command(fields: dict[str, Any], door: str, session: ClientSession) -> None:
    body = urlencode(fields).encode()

    assert await knocks(session, door, body, signed(body)) < 500


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(payload=st.sampled_from([*ON_A_CARD.values()]).flatmap(spoiled))
async def test_any_press(payload: dict[str, Any], door: str, session: ClientSession) -> None:
    body = urlencode({"payload": json.dumps(payload)}).encode()

    assert await knocks(session, door, body, signed(body)) < 500


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(payload=st.sampled_from([*ON_A_PAGE.values(), *ON_THE_HOME_TAB.values()]).flatmap(spoiled))
async def test_any_use_of_history(payload: dict[str, Any], door: str, session: ClientSession) -> None:
    body = urlencode({"payload": json.dumps(payload)}).encode()

    assert await knocks(session, door, body, signed(body)) < 500


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(action=st.sampled_from([*BUTTONS, *MENUS]), place=st.one_of(TEXT, VALUES.map(json.dumps), places_in_history))
async def test_any_place_in_history(action: str, place: str, door: str, session: ClientSession) -> None:
    payload = copy.deepcopy(ON_THE_HOME_TAB[action])
    payload["view"]["private_metadata"] = payload["actions"][0]["value"] = place
    payload["actions"][0]["selected_option"]["value"] = place
    body = urlencode({"payload": json.dumps(payload)}).encode()

    assert await knocks(session, door, body, signed(body)) < 500


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(payload=spoiled(EVENT))
async def test_any_event(payload: dict[str, Any], door: str, session: ClientSession) -> None:
    body = json.dumps(payload).encode()

    assert await knocks(session, door, body, signed(body, JSON)) < 500


@pytest.mark.usefixtures("calm")
@THOROUGH
@given(text=TEXT)
async def test_any_text_behind_the_command(text: str, door: str, session: ClientSession) -> None:
    body = urlencode(COMMAND | {"text": text, "trigger_id": text}).encode()

    assert await knocks(session, door, body, signed(body)) == 200
