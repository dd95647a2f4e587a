"""The running bot under commands and clicks, beside what people would use instead."""

import asyncio
import subprocess

from tests.bench import instead
from tests.bench.commands import Load, acknowledge, click, load, post
from tests.bench.databases import Fresh
from tests.bench.processes import bare, bot
from tests.bench.report import percentile, ratio, row, title

ERRBOT_RATE = 280.0
"""Bare echoes a second through errbot where a bare Bolt app answered 2 000: the mark where errbot cannot be had."""

_CARD = "Rotate the tokens of payments?"


async def acks(fresh: Fresh, times: int) -> None:
    """Compare acknowledgements one at a time with a default Bolt app's."""
    title("Acknowledgement, one command at a time, against a default Bolt app")
    for mode, theirs in (("http", "http"), ("http", "sync"), ("socket", "socket")):
        async with bare(theirs) as running:
            their_acks = await acknowledge(running, times, answered=False)
        async with bot(mode, fresh()) as running:
            our_acks = await acknowledge(running, times, answered=True)
        name = f"{mode} / {theirs}, " if mode != theirs else f"{mode}, "
        ratio(f"{name}median", percentile(our_acks, 50), percentile(their_acks, 50), 0.1)
        ratio(f"{name}99th percentile", percentile(our_acks, 99), percentile(their_acks, 99))


async def echoes(each: int) -> dict[int, Load]:
    """Measure the bare app at an echo: acknowledged, then said again through the response_url."""
    async with bare("http") as running:
        await load(running, 16, 5, "echo", "echo")
        seen = {parallel: await load(running, parallel, each, "echo", "echo") for parallel in (16, 64)}
    async with bare("sync") as running:
        await load(running, 16, 5, "echo", "echo")
        sync = await load(running, 16, each, "echo", "echo")
    title("A bare app's echoes, 16 in parallel, with asyncio / without")
    row("echoes", f"{seen[16].rate:.0f}/s / {sync.rate:.0f}/s = {seen[16].rate / sync.rate:.2f}")
    for percent in (50, 99):
        ratio(
            f"acknowledgement, percentile {percent}", percentile(seen[16].acks, percent), percentile(sync.acks, percent)
        )
    return seen


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


async def whole_work(name: str, fresh: Fresh, each: int, echo: dict[int, Load], mark: float) -> None:
    """Measure commands that were authorised, looked up, recorded, and answered by a card."""
    for parallel in (16, 32, 64):
        async with bot("http", fresh()) as running:
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


async def clicks(fresh: Fresh, times: int) -> None:
    """Measure what lies between a press and Turso, beside a bare POST."""
    title("From the press until Turso has the request, against a bare httpx POST (medians)")
    async with bot("http", fresh()) as running:
        bare_post = percentile(await post(running.turso, times), 50)
        pressed = percentile(await click(running, times), 50)
    ratio("press / POST", pressed, bare_post)
    row("the bot's part", f"{(pressed - bare_post) * 1e3:.2f} ms")
