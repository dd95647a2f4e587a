"""Commands in parallel with all their work, compared with the echoes of a Bolt app and of chat-bot frameworks."""

import asyncio
import subprocess

from tests.bench import frameworks
from tests.bench.databases import NewDatabase
from tests.bench.load import Load, load
from tests.bench.processes import bot, server
from tests.bench.report import SLACK_SECONDS, percentile, ratio, row, title

CARD = "Rotate the tokens of payments?"
ERRBOT_SHARE = 0.194
"""Errbot's echoes divided by the Bolt app's, as last measured; used where errbot cannot be installed."""


async def bolt_echoes(each: int) -> dict[int, Load]:
    """Measure a default Bolt app that acknowledges, then echoes through the response_url; by people in parallel."""
    async with server("bolt") as running:
        await load(running, 16, 5, "echo", "echo")
        measured = {parallel: await load(running, parallel, each, "echo", "echo") for parallel in (16, 64)}
    async with server("bolt_sync") as running:
        await load(running, 16, 5, "echo", "echo")
        sync = await load(running, 16, each, "echo", "echo")
    asynchronous = measured[16]
    title("A default Bolt app's echoes, 16 in parallel, with asyncio / without")
    row("echoes", _rates(asynchronous.rate, sync.rate))
    for percent in (50, 99):
        ratio(f"acknowledgement, p{percent}", percentile(asynchronous.acks, percent), percentile(sync.acks, percent))
    return measured


async def errbot_rate(bolt_rate: float) -> float:
    """Measure chat-bot frameworks at an echo in Socket Mode, and return the rate of errbot."""
    try:
        await asyncio.to_thread(frameworks.install)
    except (OSError, subprocess.CalledProcessError):
        row("frameworks", "not installed: no package registry")
        return ERRBOT_SHARE * bolt_rate
    measured = {"Slack Machine": await frameworks.slack_machine(), "errbot": await frameworks.errbot()}
    for name, echo in measured.items():
        title(f"{name}, an echo ({echo.megabytes:.0f} MB resident)")
        row("acknowledgement, median, one at a time", f"{echo.ack * 1e3:.2f} ms")
        row("echoes, 16 in parallel", f"{echo.rate:.0f}/s")
    return measured["errbot"].rate


async def commands(name: str, new_database: NewDatabase, each: int, bolt: dict[int, Load], errbot: float) -> None:
    """Measure commands that are authorised, looked up at Turso, recorded and answered with a card."""
    for parallel in (16, 32, 64):
        async with bot("http", new_database()) as running:
            await load(running, 16, 5, "payments reason", CARD)
            measured = await load(running, parallel, each * 16 // parallel, "payments reason", CARD)
            megabytes = running.megabytes
        title(f"Whole commands on {name}, {parallel} in parallel ({megabytes:.0f} MB resident)")
        if parallel == 16:
            row("cards / errbot's echoes", _rates(measured.rate, errbot), "above 1", met=measured.rate > errbot)
        _compare(measured, bolt.get(parallel))
        _times(measured)


def _compare(measured: Load, bolt: Load | None) -> None:
    if bolt is not None:
        row("cards / the Bolt app's echoes", _rates(measured.rate, bolt.rate))
        ratio("acknowledgement, median / the Bolt app's", percentile(measured.acks, 50), percentile(bolt.acks, 50))
    else:
        row("cards", f"{measured.rate:.0f}/s")


def _times(measured: Load) -> None:
    row("answers other than the card", str(len(measured.unexpected)), "none", met=not measured.unexpected)
    # Were a command acknowledged after its work, the two would be the same.
    ratio("acknowledgement / card, medians", percentile(measured.acks, 50), percentile(measured.answers, 50), 0.5)
    worst = max(measured.acks)
    row("acknowledgement, worst", f"{worst * 1e3:.1f} ms", f"at most {SLACK_SECONDS:g} s", met=worst <= SLACK_SECONDS)
    p99, worst = percentile(measured.answers, 99), max(measured.answers)
    value = f"{p99 * 1e3:.0f} ms, {worst * 1e3:.0f} ms"
    row("command to card, p99, worst", value, f"at most {SLACK_SECONDS:g} s", met=worst <= SLACK_SECONDS)
    cpu = f"{measured.cpu * 1e3:.2f} ms, {measured.client_cpu * 1e3:.2f} ms"
    row("processor time of one: bot, client", f"{cpu} (a processor's {1 / measured.cpu:.0f}/s)")


def _rates(measured: float, reference: float) -> str:
    return f"{measured:.0f}/s / {reference:.0f}/s = {measured / reference:.2f}"
