"""Commands in forks: what people see is what the program itself shows, and nothing outlives the tests."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.forks import Fork
from tests.process import environment, run

EXECUTED = {"PYTHONHASHSEED": "0"}
"""Any setting of Python's own makes `run` start the program itself."""
HANGS = ("audit", "verify", "--file", "fifo")
_TESTS = """
import asyncio, sys
from pathlib import Path
from tests.forks import Fork

async def main():
    fork = await Fork.start(Path(), {"DATABASE_URL": "sqlite://"}, *sys.argv[1:], limit=1000)
    print(fork.pid, flush=True)
    await fork.wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("audit", "list", "--limit", "x"), ("audit", "list"), ("serve",), ("migrate",)],
    ids=" ".join,
)
async def test_a_fork_answers_like_the_program(arguments: tuple[str, ...], tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "sqlite:///new.db"}
    forked = await run(settings, tmp_path, *arguments)
    (tmp_path / "new.db").unlink(missing_ok=True)
    executed = await run(settings | EXECUTED, tmp_path, *arguments)

    assert forked == executed
    assert forked[1] + forked[2] != ""


async def test_a_killed_fork_returns_the_signal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    fork = await Fork.start(tmp_path, {"DATABASE_URL": "sqlite://"}, *HANGS, limit=1000)
    fork.kill()

    assert await fork.wait() == fork.returncode == -signal.SIGKILL


async def test_no_fork_outlives_the_tests(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    tests = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _TESTS, *HANGS, cwd=tmp_path, env=environment({}), stdout=asyncio.subprocess.PIPE
    )
    assert tests.stdout is not None
    fork = int(await tests.stdout.readline())
    watched = os.pidfd_open(fork)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, ended.set)
    tests.kill()
    await asyncio.wait_for(ended.wait(), 20)
    asyncio.get_running_loop().remove_reader(watched)
    os.close(watched)

    assert await tests.wait() == -signal.SIGKILL
