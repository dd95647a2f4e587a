"""Run every measurement, on loopback: the real process here, what types and what answers there."""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.bench import instead
from tests.bench.commands import Load, acknowledge, click, load, post
from tests.bench.endurance import endurance
from tests.bench.history import filled, first_pages
from tests.bench.processes import bare, bot
from tests.bench.report import MISSED, machine, percentile, ratio, row, title
from tests.bench.slow import slow_turso
from tests.bench.verify import appending, memory, verification
from tests.postgres import PostgresServer, binaries

ERRBOT_RATE = 280.0
"""Bare echoes a second through errbot where a bare Bolt app answered 2 000: the mark where errbot cannot be had."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    times: int
    """Of what is measured one at a time."""
    each: int
    """Commands of each of 16 people in parallel."""
    rounds: int
    """Starts."""
    rows: int
    """Of history."""
    commands: int
    """Before memory is looked at; 0: it is not."""


QUICK = Size(times=60, each=20, rounds=1, rows=100_000, commands=0)
USUAL = Size(times=200, each=50, rounds=3, rows=1_000_000, commands=20_000)
LONG = replace(USUAL, commands=100_000)
_CARD = "Rotate the tokens of payments?"


async def starts(database_url: str, times: int) -> None:
    """Compare how long a start takes, and the memory at rest."""
    seen: dict[str, list[tuple[float, float]]] = {"bot": [], "bare": []}
    for number in range(times):
        async with bot("http", f"{database_url}{number}") as running:
            seen["bot"].append((running.started, running.megabytes))
        async with bare("http") as running:
            seen["bare"].append((running.started, running.megabytes))
    title("Start of the process until it serves, against a default Bolt app (medians)")
    ours, theirs = ([median(values) for values in zip(*each, strict=True)] for each in seen.values())
    ratio("the bot / the bare app", ours[0], theirs[0])
    row("resident at rest", f"{ours[1]:.0f} MB / {theirs[1]:.0f} MB = {ours[1] / theirs[1]:.2f}")


async def acks(database_url: str, times: int) -> None:
    """Compare acknowledgements one at a time with a default Bolt app's."""
    title("Acknowledgement, one command at a time, against a default Bolt app")
    for mode in ("http", "socket"):
        async with bare(mode) as running:
            theirs = await acknowledge(running, times, answered=False)
        async with bot(mode, f"{database_url}{mode}") as running:
            ours = await acknowledge(running, times, answered=True)
        ratio(f"{mode}, median", percentile(ours, 50), percentile(theirs, 50), 0.1)
        ratio(f"{mode}, 99th percentile", percentile(ours, 99), percentile(theirs, 99))


async def echoes(each: int) -> dict[int, Load]:
    """Measure the bare app at an echo: acknowledged, then said again through the response_url."""
    async with bare("http") as running:
        await load(running, 16, 5, "echo", "echo")
        return {parallel: await load(running, parallel, each, "echo", "echo") for parallel in (16, 64)}


async def frameworks() -> float:
    """Measure chat-bot frameworks at an echo in Socket Mode; returns errbot's rate, the mark to beat."""
    try:
        await asyncio.to_thread(instead.install)
    except (OSError, subprocess.CalledProcessError):
        row("frameworks", "not installed: no package registry")
        return ERRBOT_RATE
    seen = {"Slack Machine": await instead.slack_machine(), "errbot": await instead.errbot()}
    for name, echoed in seen.items():
        title(f"{name}, an echo ({echoed.megabytes:.0f} MB resident)")
        row("acknowledgement, median, one at a time", f"{echoed.ack * 1e3:.2f} ms")
        row("echoes, 16 in parallel", f"{echoed.rate:.0f}/s")
    return seen["errbot"].rate


async def whole_work(name: str, fresh: Callable[[int], str], each: int, echo: dict[int, Load], mark: float) -> None:
    """Measure commands that were authorised, looked up, recorded, and answered by a card."""
    for parallel in (16, 32, 64):
        async with bot("http", fresh(parallel)) as running:
            await load(running, 16, 5, "payments reason", _CARD)
            seen = await load(running, parallel, each * 16 // parallel, "payments reason", _CARD)
            megabytes = running.megabytes
        title(f"Whole work on {name}, {parallel} in parallel ({megabytes:.0f} MB resident)")
        _rates(parallel, seen, echo, mark)
        worst = max(seen.answers)
        stall = f"{percentile(seen.answers, 99) * 1e3:.0f} ms, {worst * 1e3:.0f} ms"
        row("command to card, 99th percentile, worst", stall, "no stall of 1 s", met=worst < 1)


def _rates(parallel: int, seen: Load, echo: dict[int, Load], mark: float) -> None:
    wanted = f"above errbot's {mark:.0f}/s" if parallel == 16 else ""
    row("commands that became cards", f"{seen.rate:.0f}/s", wanted, met=not wanted or seen.rate > mark)
    cost = f"{seen.cost * 1e3:.2f} ms, {seen.our_cost * 1e3:.2f} ms"
    row("processor time for one: bot, load", f"{cost} (a processor's {1 / seen.cost:.0f}/s)")
    if parallel in echo:
        theirs = echo[parallel]
        row("rate / a bare app's echoes", f"{seen.rate:.0f}/s / {theirs.rate:.0f}/s = {seen.rate / theirs.rate:.2f}")
        ratio("acknowledgement, median / the echo's", percentile(seen.acks, 50), percentile(theirs.acks, 50))
    row("answers other than the card", str(len(seen.otherwise)), "none", met=not seen.otherwise)
    worst = max(seen.acks)
    row("acknowledgement, worst", f"{worst * 1e3:.1f} ms", "at most 100 ms", met=worst <= 0.1)


async def clicks(database_url: str, times: int) -> None:
    """Measure what lies between a press and Turso, beside a bare POST."""
    title("From the press until Turso has the request, against a bare httpx POST (medians)")
    async with bot("http", database_url) as running:
        bare_post = percentile(await post(running.turso, times), 50)
        pressed = percentile(await click(running, times), 50)
    ratio("press / POST", pressed, bare_post)
    row("the bot's part", f"{(pressed - bare_post) * 1e3:.2f} ms")


async def history(name: str, fresh: Callable[[int], str], rows: int) -> None:
    """Compare first pages of history at 10^4 rows and at many."""
    async with filled(fresh(10_000), 10_000) as few, filled(fresh(rows), rows) as many:
        title(f"First page of history on {name}, {rows:,} rows against 10,000 (medians)")
        for wanted, (small, large) in (await first_pages(few, many)).items():
            ratio(wanted, large, small, 2)


async def main(size: Size) -> None:
    """Run everything."""
    times, each, rows = size.times, size.each, size.rows
    machine()
    server = PostgresServer(binaries(), fsync=True)  # those who rotate may lose power
    try:
        server.start()
        with tempfile.TemporaryDirectory() as folder:
            sqlite = f"sqlite:///{Path(folder)}/"
            await starts(f"{sqlite}starts-", size.rounds)
            await acks(f"{sqlite}acks-", times)
            echo = await echoes(each)
            mark = await frameworks()
            await whole_work("SQLite", lambda number: f"{sqlite}work-{number}", each, echo, mark)
            await whole_work("PostgreSQL, fsync on", lambda _: server.create_database(), each, echo, mark)
            await clicks(f"{sqlite}clicks", times // 3)
            await slow_turso(f"{sqlite}slow")
            if size.commands:
                await endurance(f"{sqlite}endurance", size.commands)
            await history("SQLite", lambda number: f"{sqlite}history-{number}", rows)
            await history("PostgreSQL", lambda _: server.create_database(), rows)
            for name, url in (("SQLite", f"{sqlite}chain"), ("PostgreSQL", server.create_database())):
                await verification(name, url, rows // 10)
            for name, url in (("SQLite", f"{sqlite}append"), ("PostgreSQL", server.create_database())):
                await appending(name, url, each * 4)
            await memory("SQLite", f"{sqlite}few", f"{sqlite}many", rows)
    finally:
        server.destroy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", dest="size", action="store_const", const=QUICK, help="see that it works")
    sizes.add_argument("--long", dest="size", action="store_const", const=LONG, help="an hour, and some gigabytes")
    asyncio.run(main(parser.parse_args().size or USUAL))
    title("Missed: " + (", ".join(MISSED) or "nothing"))
    sys.exit(1 if MISSED else 0)
