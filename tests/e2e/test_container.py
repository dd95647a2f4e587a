"""What an image with a read-only root filesystem and a health check asks of the bot."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from bot.sandbox.local_slack import LocalSlack
from tests.e2e.conftest import ALICE, asks
from tests.packaging.containerfile import stages
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("socket"), pytest.mark.databases("sqlite")]

# Python loads this by itself at its start. SQLite opens its files without Python, and so unseen.
_WATCH = """
import os, sys
def watch(event, arguments):
    if event == "open":
        writes = arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and arguments[0] != os.devnull
    else:
        writes = event in ("os.mkdir", "os.rename", "os.remove", "tempfile.mkstemp", "tempfile.mkdtemp")
    if writes:
        os.write(2, f"WRITES {event} {arguments}\\n".encode())
sys.addaudithook(watch)
"""


class TestFilesystem:
    @pytest.fixture
    def changes(self, tmp_path: Path) -> dict[str, str]:
        """Watch the process; compiled modules are the image's to bring."""
        (tmp_path / "watch").mkdir()
        (tmp_path / "watch/sitecustomize.py").write_text(_WATCH)
        here = f"{tmp_path / 'watch'}:{Path(__file__).parents[2]}"
        return {"PYTHONPATH": here, "PYTHONDONTWRITEBYTECODE": "1", "COVERAGE_PROCESS_START": ""}

    async def test_it_writes_nothing_but_its_database(self, slack: LocalSlack, bot: BotProcess) -> None:
        card = await asks(slack, ALICE, "payments")
        await slack.presses(ALICE, card, "rotation:confirm")
        await slack.sees(ALICE, "Done: the tokens of payments are rotated")
        await bot.signals(signal.SIGTERM)
        ended = await bot.ended()

        assert ended == 0
        assert [line for line in bot.lines if line.startswith("WRITES")] == []


async def test_the_health_check_tells_a_living_bot_from_none(bot: BotProcess) -> None:
    alive = await checked(bot.port)
    await bot.kills()

    assert alive == 0
    assert await checked(bot.port) == 1


async def test_the_health_check_gives_up_on_a_bot_that_hangs(bot: BotProcess) -> None:
    await bot.signals(signal.SIGSTOP)
    hanging = await checked(bot.port)
    await bot.signals(signal.SIGCONT)

    assert hanging == 1


async def checked(port: int) -> int:
    """Run the image's health check; returns its exit code."""
    image = dict(stages()[-1])
    host = image["ENV"].partition(" HOST=")[2]
    program, *arguments = json.loads(image["HEALTHCHECK"].partition("CMD ")[2])
    assert program == "python"
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env={"HOST": host, "PORT": str(port)}, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(10):
        return await process.wait()
