"""Take the pictures in `docs/images` anew: `python -m tests.browser.screenshots`.

They look as they should if the fonts Lato and Noto Color Emoji are installed.
"""

import asyncio
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright, expect

from bot.sandbox.page import PageServer
from bot.sandbox.sandbox import Sandbox
from tests.browser.conftest import ARGUMENTS, CHROMIUM, Browsers, Screen

FOLDER = Path(__file__).parents[2] / "docs" / "images"
TYPED = "/turso-rotate payments key leaked in CI log"
CARD = "Rotate the tokens of payments?"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}


async def main() -> None:
    """Play each state once, and keep a picture of it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        for scene in (card_and_outcome, refused, unknown, on_a_phone, history):
            async with Sandbox(call_seconds=1) as sandbox, PageServer(sandbox) as page:
                await sandbox.ready()
                await scene(Browsers(browser, page.url))
        await browser.close()


async def card_and_outcome(browsers: Browsers) -> None:
    """Ask, confirm, tell the channel."""
    alice = await browsers.opens("alice")
    await alice.tab.locator("#text").fill("/turso")
    await picture(alice, "sandbox-completion")
    await alice.types(TYPED)
    card = await alice.sees(CARD)
    await picture(alice, "sandbox-card")
    await alice.presses("Rotate tokens", card)
    await alice.sees("Done: the tokens of payments are rotated")
    await alice.has_trail("rotation.succeeded")
    await picture(alice, "sandbox-done")
    await alice.tab.emulate_media(color_scheme="dark")
    await picture(alice, "sandbox-done-dark")
    await alice.tab.get_by_role("link", name="audit-log").click()
    await alice.sees("@alice rotated the tokens of")
    await picture(alice, "sandbox-channel-dark")


async def refused(browsers: Browsers) -> None:
    """Let a stranger try."""
    mallory = await browsers.opens("mallory")
    await mallory.types(TYPED)
    await mallory.sees("not on the allowlist")
    await mallory.has_trail("rotation.denied")
    await picture(mallory, "sandbox-refused")


async def unknown(browsers: Browsers) -> None:
    """Let Turso hang."""
    alice = await browsers.opens("alice", color_scheme="dark")
    await alice.chooses_failure("Turso hangs")
    await alice.types(TYPED)
    await alice.presses("Rotate tokens", await alice.sees(CARD))
    await alice.sees("Unknown: the tokens of payments may have been rotated")
    await alice.has_trail("rotation.unknown")
    await picture(alice, "sandbox-unknown-dark")


async def on_a_phone(browsers: Browsers) -> None:
    """Show one pane at a time."""
    alice = await browsers.opens("alice", **PHONE)
    await alice.types(TYPED)
    await alice.sees(CARD)
    await picture(alice, "sandbox-phone")
    await alice.tab.get_by_role("button", name="Inspector").click()
    await picture(alice, "sandbox-phone-inspector")


async def history(browsers: Browsers) -> None:
    """Read who asked for what: the page, a story, and the Home tab."""
    alice = await browsers.opens("alice", viewport={"width": 1360, "height": 1060})
    bob, mallory = await browsers.opens("bob"), await browsers.opens("mallory")
    await alice.types(TYPED)
    await alice.presses("Rotate tokens", await alice.sees(CARD))
    await alice.sees("Done: the tokens of payments are rotated")
    await mallory.types("/turso-rotate payments just curious")
    await mallory.sees("not on the allowlist")
    await bob.types("/turso-rotate default laptop stolen")
    await bob.presses("Cancel", await bob.sees("Rotate the tokens of default?"))
    await bob.sees("Cancelled")
    await alice.chooses_failure("Turso answers 500")
    await alice.types("/turso-rotate analytics a contractor leaves")
    await alice.presses("Rotate tokens", await alice.sees("Rotate the tokens of analytics?"))
    await alice.sees("Unknown: the tokens of analytics may have been rotated")
    await alice.chooses_failure("No failure")
    await alice.types("/turso-audit 7d")
    page = await alice.sees("Showing: the last 7 days")
    await picture(alice, "sandbox-history")
    await page.get_by_role("button", name="Details").first.click()
    await expect(alice.tab.get_by_role("dialog")).to_contain_text("it may or may not have happened")
    await picture(alice, "sandbox-details")
    await alice.tab.emulate_media(color_scheme="dark")
    await picture(alice, "sandbox-details-dark")
    await alice.tab.keyboard.press("Escape")
    await expect(alice.tab.get_by_role("dialog")).to_have_count(0)
    await alice.types("/turso-rotate default laptop stolen, for real")
    await alice.sees("Rotate the tokens of default?")
    await alice.tab.get_by_role("link", name="turso-rotate").click()
    await expect(alice.tab.locator("#home")).to_contain_text("Waiting for you")
    await picture(alice, "sandbox-home-dark")
    await alice.tab.emulate_media(color_scheme="light")
    await picture(alice, "sandbox-home")


async def picture(screen: Screen, name: str) -> None:
    """Keep what is on the screen, without the pointer's traces."""
    await screen.tab.emulate_media(reduced_motion="reduce")
    await screen.tab.mouse.move(0, 0)
    await expect(screen.tab.locator("#toast")).to_be_hidden()
    await screen.tab.screenshot(path=FOLDER / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    asyncio.run(main())
