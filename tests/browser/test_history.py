"""History in a real browser: the page behind the command, the story of a rotation, and the Home tab."""

import re

import pytest
from playwright.async_api import Locator, expect

from bot.sandbox.sandbox import Sandbox
from tests.browser.conftest import Browsers, Screen
from tests.browser.test_page import CONTRAST, READ, WIDER

pytestmark = pytest.mark.asyncio(loop_scope="session")  # of the browser, which all tests share

TYPED = "/turso-rotate payments key leaked in CI log"
STORY = "Rotation details"


async def rotates(alice: Screen, text: str = TYPED) -> None:
    """Rotate payments."""
    await alice.types(text)
    await alice.presses("Rotate tokens", await alice.sees("Rotate the tokens of payments?"))
    await alice.sees("Done: the tokens of payments are rotated")
    await alice.has_trail("rotation.succeeded")


async def home(screen: Screen) -> Locator:
    """Look at the Home tab, as the bot published it."""
    await screen.tab.get_by_role("link", name="turso-rotate").click()
    shown = screen.tab.locator("#home")
    await expect(shown.get_by_role("heading", name="History")).to_be_visible()
    return shown


async def test_history_is_asked_for_completed_and_turned(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await rotates(alice)
    for number in range(11):
        await alice.types(f"/turso-rotate default number {number}")
        await alice.sees("Rotate the tokens of default?", f"Reason: number {number}")
    await alice.tab.locator("#text").press_sequentially("/turso-audit @al")
    await alice.tab.keyboard.press("Tab")
    await expect(alice.tab.locator("#text")).to_have_value("/turso-audit @alice ")
    await alice.tab.keyboard.press("Enter")
    page = await alice.sees("Showing: @alice", "Only visible to you")
    await expect(page).to_contain_text("requested · default")
    await expect(page).to_contain_text("number 10")
    await alice.presses("Older →", page)
    await expect(page).to_contain_text("key leaked in CI log")
    await expect(page).to_contain_text("succeeded · payments")
    await alice.presses("← Newer", page)

    await expect(page).to_contain_text("number 10")
    await expect(page.get_by_role("button", name="Details")).to_have_count(10)


async def test_the_story_of_a_rotation_opens_in_a_dialog(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await rotates(alice)
    await alice.types("/turso-audit succeeded 7d")
    page = await alice.sees("Showing: succeeded · the last 7 days")
    await alice.presses("Details", page)
    dialog = alice.tab.get_by_role("dialog", name=STORY)
    await expect(dialog).to_contain_text("Turso confirmed that the tokens were rotated")
    await expect(dialog).to_contain_text("Reason: key leaked in CI log")
    await expect(dialog.locator("b", has_text="Requested the rotation")).to_have_count(1)
    await alice.tab.keyboard.press("Escape")

    await expect(dialog).to_have_count(0)


async def test_the_home_tab_shows_what_was_chosen(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await rotates(alice)
    mallory = await browsers.opens("mallory")
    await mallory.types("/turso-rotate default just curious")
    await mallory.sees("not on the allowlist")
    shown = await home(alice)
    await expect(shown).to_contain_text("key leaked in CI log")
    await expect(shown).to_contain_text("just curious")
    await shown.get_by_label("Anybody").select_option(label="mallory")
    await expect(shown).to_contain_text("Showing: @mallory")
    await expect(shown).not_to_contain_text("key leaked in CI log")
    await shown.get_by_role("button", name="Clear").click()
    await expect(shown).to_contain_text("Showing: everything")
    await shown.locator("[data-action='home:outcome']").select_option(label="Succeeded")
    await expect(shown).to_contain_text("Showing: succeeded")
    await shown.get_by_role("button", name="Details").click()

    await expect(alice.tab.get_by_role("dialog", name=STORY)).to_contain_text("Turso confirmed")


async def test_everybody_sees_their_own_home_tab(browsers: Browsers) -> None:
    alice, bob, mallory = [await browsers.opens(name) for name in ("alice", "bob", "mallory")]
    await rotates(alice)
    auditors, rotators, strangers = [await home(each) for each in (alice, bob, mallory)]

    await expect(auditors).to_contain_text(re.compile("Allowlist.*@bob may rotate default", re.DOTALL))
    await expect(auditors).to_contain_text("key leaked in CI log")
    await expect(rotators).to_contain_text("You only see the groups that you may rotate, and your own requests.")
    await expect(strangers).to_contain_text("You are not on the allowlist for any group")
    for shown in (rotators, strangers):
        await expect(shown).not_to_contain_text("key leaked in CI log")
        await expect(shown).not_to_contain_text("Allowlist")


async def test_a_request_that_waits_is_cancelled_on_the_home_tab(browsers: Browsers, sandbox: Sandbox) -> None:
    alice = await browsers.opens("alice")
    await alice.types(TYPED)
    await alice.sees("Rotate the tokens of payments?")
    shown = await home(alice)
    await expect(shown.get_by_role("heading", name="Waiting for you")).to_be_visible()
    await shown.get_by_role("button", name="Cancel").click()
    await expect(shown.get_by_role("heading", name="Waiting for you")).to_have_count(0)
    await alice.has_trail("rotation.requested", "rotation.cancelled")
    await alice.tab.get_by_role("link", name="incident").click()

    await alice.sees("Cancelled. The tokens of payments were not touched.")
    assert sandbox.turso.calls_to_rotate() == 0


async def test_the_home_tab_can_be_read_in_any_light_and_width(browsers: Browsers) -> None:
    alice = await browsers.opens("alice")
    await rotates(alice, f"/turso-rotate payments {'long' * 60}")
    await alice.types(TYPED)
    await alice.sees("key leaked in CI log")
    shown = await home(alice)
    await expect(shown).to_contain_text("longlong")
    for scheme in ("light", "dark"):
        await alice.tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert await alice.tab.evaluate(CONTRAST, READ) == []
    for width in (340, 390, 800, 1360):
        await alice.tab.set_viewport_size({"width": width, "height": 760})
        assert await alice.tab.evaluate(WIDER) == [], width
