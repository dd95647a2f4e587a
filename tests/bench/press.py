"""How soon Turso has the request after a press of the button, compared with a bare POST."""

import time

import httpx

from bot.sandbox.local_turso import DEFAULT_TOKEN, LocalTurso
from bot.slack.rotate.card import CONFIRM
from tests.bench.databases import NewDatabase
from tests.bench.processes import PEOPLE, Running, bot
from tests.bench.report import percentile, ratio, row, title


async def press(new_database: NewDatabase, times: int) -> None:
    """Measure the bot's part of the time from a press until Turso has the request."""
    title("From the press until Turso has the request, compared with a bare httpx POST (medians)")
    async with bot("http", new_database()) as running:
        posted = percentile(await _posted(running.turso, times), 50)
        pressed = percentile(await _pressed(running, times), 50)
    ratio("press / POST", pressed, posted)
    row("the bot's part", f"{(pressed - posted) * 1e3:.2f} ms")


async def _pressed(running: Running, times: int) -> list[float]:
    """Request and press again and again; return the seconds from each press until Turso has the request."""
    slack, person, taken = running.slack, PEOPLE[0], []
    for number in range(times):
        since = len(slack.messages)
        await slack.types(person, "/turso-rotate payments")
        card = await slack.sees(person, "Rotate the tokens of payments?", since=since)
        calls, began = running.turso.calls_to_rotate(), time.time()
        await slack.presses(person, card, CONFIRM)
        await running.turso.reached(calls + 1)
        arrived = next(request.at for request in reversed(running.turso.requests) if request.line.rotates)
        taken.append(arrived - began)
        await slack.called("chat.postMessage", number + 1)
    return taken


async def _posted(turso: LocalTurso, times: int) -> list[float]:
    """Post with a bare httpx over a new connection each time, as the bot does; return the same seconds."""
    url = f"{turso.url}/v1/organizations/acme/groups/payments/auth/rotate"
    taken = []
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, headers={"Authorization": f"Bearer {DEFAULT_TOKEN}"}) as client:
        for _ in range(times):
            began = time.time()
            (await client.post(url)).raise_for_status()
            taken.append(turso.requests[-1].at - began)
    return taken
