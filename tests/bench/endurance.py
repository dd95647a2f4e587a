"""Memory after many commands: what is kept of each, if anything is."""

import time

from tests.bench.commands import load
from tests.bench.processes import Running, bot
from tests.bench.report import row, title

EARLY = 10_000
"""By then every cache is full and every pool is open."""
_PARALLEL, _EACH = 16, 125
_BATCH = _PARALLEL * _EACH
_CARD = "Rotate the tokens of payments?"


async def endurance(database_url: str, commands: int) -> None:
    """Compare resident memory after 10^4 and after many commands with the whole work, over HTTP."""
    began = time.perf_counter()
    seen: dict[int, float] = {}
    async with bot("http", database_url) as running:
        seen[0] = running.megabytes
        for done in range(_BATCH, commands + 1, _BATCH):
            await load(running, _PARALLEL, _EACH, "payments reason", _CARD)
            _forget(running)
            seen[done] = running.megabytes
    rate = commands / (time.perf_counter() - began)
    title(f"Memory after {commands:,} commands, 16 people in parallel ({rate:.0f}/s)")
    for done in _marks(commands):
        row(f"resident after {done:,}", f"{seen[done]:.1f} MB / {seen[EARLY]:.1f} MB = {seen[done] / seen[EARLY]:.3f}")
    more = seen[commands] - seen[EARLY]
    row(f"more than after {EARLY:,}", f"{more:.1f} MB", "at most 10 MB", met=more <= 10)


def _marks(commands: int) -> list[int]:
    """Choose what is shown: the start, the first batch, and tenths of the whole."""
    return sorted({0, _BATCH, EARLY, *range(commands // 5, commands + 1, commands // 5)})


def _forget(running: Running) -> None:
    """Let the local Slack and the local Turso forget what they recorded: it is they who would grow by gigabytes."""
    workspace, payloads = running.slack.workspace, running.slack._payloads
    for records in (running.slack.calls, running.turso.requests, workspace.messages):
        records.clear()
    for known in (payloads._urls._issued, payloads._triggers._issued):
        known.clear()
