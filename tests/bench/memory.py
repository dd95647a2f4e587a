"""Resident memory after many commands."""

import time

from tests.bench.load import load
from tests.bench.processes import Running, bot
from tests.bench.report import row, title
from tests.bench.throughput import CARD

EARLY = 10_000
"""By then every cache is full and every pool is open."""
_PARALLEL, _EACH = 16, 125
_BATCH = _PARALLEL * _EACH


async def memory(database_url: str, commands: int) -> None:
    """Compare resident memory after 10^4 and after many commands with all their work, over HTTP."""
    began = time.perf_counter()
    megabytes: dict[int, float] = {}
    async with bot("http", database_url) as running:
        megabytes[0] = running.megabytes
        for done in range(_BATCH, commands + 1, _BATCH):
            await load(running, _PARALLEL, _EACH, "payments reason", CARD)
            _forget(running)
            megabytes[done] = running.megabytes
    rate = commands / (time.perf_counter() - began)
    title(f"Memory after {commands:,} commands, 16 people in parallel ({rate:.0f}/s)")
    early = megabytes[EARLY]
    for done in _shown(commands):
        row(f"resident after {done:,}", f"{megabytes[done]:.1f} MB / {early:.1f} MB = {megabytes[done] / early:.3f}")
    more = megabytes[commands] - early
    row(f"more than after {EARLY:,}", f"{more:.1f} MB", "at most 10 MB", met=more <= 10)


def _shown(commands: int) -> list[int]:
    """Choose the rows: the start, the first batch, 10^4 and every fifth of the whole."""
    return sorted({0, _BATCH, EARLY, *range(commands // 5, commands + 1, commands // 5)})


def _forget(running: Running) -> None:
    """Clear what the local Slack and the local Turso recorded, or this process would grow by gigabytes."""
    workspace, payloads = running.slack.workspace, running.slack._payloads
    for records in (running.slack.calls, running.turso.requests, workspace.messages):
        records.clear()
    for known in (payloads._urls._issued, payloads._triggers._issued):
        known.clear()
