"""The sandbox's page in a real browser: headless Chromium, driven by Playwright."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, async_playwright, expect
from playwright.async_api import Page as Tab

from bot.sandbox.bot_process import BotProcess
from bot.sandbox.page import PageServer
from bot.sandbox.sandbox import Sandbox
from tests.forks import Fork

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None
)
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # containers allow no user namespaces
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS = 10
expect.set_options(timeout=SECONDS * 1000)


@dataclass
class Screen:
    """One person's browser tab."""

    tab: Tab
    complaints: list[str] = field(default_factory=list)

    async def types(self, text: str) -> None:
        await self.tab.locator("#text").fill(text)
        await self.tab.locator("#text").press("Escape")
        await self.tab.locator("#text").press("Enter")

    def message(self, *needles: str) -> Locator:
        """Find the newest message with all these words."""
        found = self.tab.locator("#messages > li")
        for needle in needles:
            found = found.filter(has_text=needle)
        return found.last

    async def sees(self, *needles: str) -> Locator:
        message = self.message(*needles)
        await expect(message).to_be_visible()
        return message

    async def presses(self, label: str, message: Locator) -> None:
        await message.get_by_role("button", name=label).click()

    async def acts_as(self, name: str) -> None:
        await self.tab.get_by_role("radio", name=re.compile(f"^.?{name}", re.IGNORECASE)).check()

    async def chooses_failure(self, label: str) -> None:
        choice = self.tab.get_by_role("radio", name=label)
        await choice.check()
        await expect(self.tab.locator("body")).to_have_attribute("data-failure-mode", await choice.input_value())

    async def has_service(self, name: str, state: str) -> None:
        await expect(self.tab.locator(f"[data-service={name}] .service-state")).to_have_text(state)

    async def has_trail(self, *actions: str) -> None:
        """Wait for the newest events, named oldest first."""
        newest = self.tab.locator("#trail > li b").filter(visible=True)
        for index, action in enumerate(reversed(actions)):
            await expect(newest.nth(index)).to_have_text(action)

    async def up(self) -> None:
        await expect(self.tab.locator("body")).to_have_attribute("data-ready", "up")


@dataclass
class Browsers:
    """Opens tabs, each in a browser profile of its own, and hears what their consoles complain about."""

    browser: Browser
    url: str
    screens: list[Screen] = field(default_factory=list)

    async def opens(self, name: str = "alice", channel: str = "C0INCIDENT", **options: Any) -> Screen:
        context: BrowserContext = await self.browser.new_context(
            **{"viewport": {"width": 1360, "height": 860}, "reduced_motion": "reduce"} | options
        )
        screen = Screen(await context.new_page())
        self.screens.append(screen)
        screen.tab.on(
            "console", lambda said: screen.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        screen.tab.on("pageerror", lambda error: screen.complaints.append(str(error)))
        await screen.tab.goto(f"{self.url}#as={name}&channel={channel}")
        await screen.up()
        return screen


class ForkedBot(BotProcess):
    """The sandbox's bot, forked from a process that has imported it; `tests/sandbox` starts it as a person does."""

    async def _run(self, *arguments: str) -> Any:
        if arguments[:2] != ("-m", "bot"):
            return await super()._run(*arguments)
        return await Fork.start(self._folder, self._environment, *arguments[2:], limit=2**22)


@pytest.fixture
def confirm_seconds() -> int:
    return 300


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep a migrated database with its grants, so that not every test has to wait for one."""
    folder = tmp_path_factory.mktemp("prepared")
    async with Sandbox(folder, process=ForkedBot) as sandbox:
        await sandbox.ready()
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(confirm_seconds: int, prepared: Path, tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with _running(prepared, tmp_path / "sandbox", confirm_seconds) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_sandbox(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    """Start one sandbox for a module whose tests look at the page rather than at what the bot does."""
    async with _running(prepared, tmp_path_factory.mktemp("shared") / "sandbox", 300) as running:
        yield running


@asynccontextmanager
async def _running(prepared: Path, folder: Path, confirm_seconds: int) -> AsyncIterator[Sandbox]:
    shutil.copytree(prepared, folder)
    async with Sandbox(folder, confirm_seconds=confirm_seconds, call_seconds=1, process=ForkedBot) as running:
        await running.ready()
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(sandbox: Sandbox) -> AsyncIterator[PageServer]:
    async with PageServer(sandbox) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Start one browser for all tests, each of which opens profiles of its own."""
    if CHROMIUM is None:
        pytest.skip("the page was NOT tried in a browser: no Chromium here (apt install chromium-headless-shell)")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield launched
        await launched.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browsers(browser: Browser, page: PageServer) -> AsyncIterator[Browsers]:
    all_of_them = Browsers(browser, page.url)
    yield all_of_them
    for screen in all_of_them.screens:
        await screen.tab.context.close()
    assert [screen.complaints for screen in all_of_them.screens] == [[] for _ in all_of_them.screens]
