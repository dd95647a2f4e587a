"""Home tabs and modals, as any app might show them."""

from typing import Any

import pytest
from aiohttp import ClientSession
from playwright.async_api import expect

from bot.sandbox.sandbox import Sandbox
from bot.sandbox.scenario import ALICE
from tests.browser.conftest import Browsers

pytestmark = pytest.mark.asyncio(loop_scope="session")  # of the browser, which all tests share


def text(words: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": words}


def option(name: str) -> dict[str, Any]:
    return {"text": text(name), "value": name}


REVOKE = {"type": "button", "action_id": "grant:revoke", "text": text("Revoke")}
HOME = {
    "type": "home",
    "blocks": [
        {"type": "header", "text": text("Allowlist")},
        {"type": "section", "text": text("bob may rotate default"), "block_id": "g1", "accessory": REVOKE},
        {"type": "section", "fields": [text("left"), text("right")]},
        {"type": "divider"},
        {"type": "actions", "elements": [
            {"type": "button", "text": text("Allow somebody"), "action_id": "grant:add", "style": "primary"},
            {"type": "static_select", "action_id": "filter", "options": [option("payments")]},
        ]},
    ],
}  # fmt: skip
MODAL = {
    "type": "modal",
    "title": text("Allow somebody"),
    "submit": text("Allow"),
    "close": text("Leave it"),
    "blocks": [
        {"type": "input", "block_id": "who", "label": text("Who"),
         "element": {"type": "users_select", "action_id": "who"}},
        {"type": "input", "block_id": "group", "label": text("Group"), "hint": text("A pattern"),
         "element": {"type": "plain_text_input", "action_id": "group"}},
        {"type": "input", "block_id": "reason", "label": text("Reason"), "optional": True,
         "element": {"type": "plain_text_input", "action_id": "reason", "multiline": True}},
    ],
}  # fmt: skip


async def calls(sandbox: Sandbox, method: str, **arguments: Any) -> None:
    headers = {"Authorization": "Bearer xoxb-local-bot"}
    async with (
        ClientSession() as app,
        app.post(sandbox.slack.api_url + method, json=arguments, headers=headers) as answer,
    ):
        said = await answer.json()
        assert said["ok"], said


async def test_a_home_tab_that_is_not_published_yet_says_so(browsers: Browsers, sandbox: Sandbox) -> None:
    sandbox.slack.fail("views.publish", error="internal_error")
    alice = await browsers.opens("alice", "app")
    await sandbox.slack.called("views.publish")

    await expect(alice.tab.locator("#home")).to_contain_text("Nothing here yet")


async def test_a_home_tab_is_shown_and_changes_in_place(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice", "app")
    home = alice.tab.locator("#home")
    await expect(home.get_by_role("heading", name="History")).to_be_visible()  # the bot's own, until it is another's
    await calls(sandbox, "views.publish", user_id=ALICE.user_id, view=HOME)
    await expect(home.get_by_role("heading", name="Allowlist")).to_be_visible()
    await expect(home.get_by_role("button", name="Revoke")).to_be_visible()
    await expect(home.get_by_role("button", name="Allow somebody")).to_be_visible()
    await calls(sandbox, "views.publish", user_id=ALICE.user_id, view={"type": "home", "blocks": HOME["blocks"][:2]})

    await expect(home.get_by_role("button", name="Allow somebody")).to_have_count(0)


async def test_a_modal_is_filled_in_and_closed(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice")
    typed = await sandbox.slack.types(ALICE, "/turso-rotate help")
    await calls(sandbox, "views.open", trigger_id=typed.trigger_id, view=MODAL)
    dialog = alice.tab.get_by_role("dialog", name="Allow somebody")
    await expect(dialog).to_be_visible()
    await dialog.get_by_label("Who").select_option(label="bob")
    await dialog.get_by_label("Group").fill("payments")
    sandbox.slack.workspace.modals[-1].errors = {"group": "Turso has no such group."}
    sandbox.touch()
    await expect(dialog.get_by_role("alert")).to_have_text("Turso has no such group.")
    await alice.tab.keyboard.press("Escape")

    await expect(dialog).to_have_count(0)
    assert sandbox.slack.workspace.modals[-1].closed
