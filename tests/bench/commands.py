"""Commands and clicks: how soon they are acknowledged, answered and passed on."""

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import DEFAULT_TOKEN, LocalTurso
from bot.sandbox.workspace import Person
from bot.slack.rotate.card import CONFIRM
from tests.bench.processes import PEOPLE, Running, spent

WARM_UP = 20


@dataclass(frozen=True)
class Load:
    """What one run saw; times in seconds."""

    acks: Sequence[float]
    answers: Sequence[float]
    """From the command to what the person then reads."""
    rate: float
    cost: float
    """Processor time of the measured process for one command."""
    our_cost: float
    """The same of the side that types: what it spends, the other lacks where processors are few."""
    otherwise: Sequence[str]
    """Answers other than expected, such as that the database does not answer."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage here meanwhile.

    A tenth of a second in which this process hears no answer would be charged to the measured one.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def acknowledge(running: Running, times: int, *, answered: bool) -> list[float]:
    """Type commands one after another; returns the times to the acknowledgement.

    With `answered`, the next one is typed when the answer to the last one is there, as one person would.
    """
    taken = []
    for number in range(times + WARM_UP):
        delivery = await running.slack.types(PEOPLE[0], "/turso-rotate ../x")
        assert delivery.status == 200
        if answered:
            await running.slack.called("response_url", number + 1)
        taken.append(delivery.seconds)
    return taken[WARM_UP:]


async def load(running: Running, parallel: int, each: int, text: str, expected: str) -> Load:
    """Let people type in parallel, each the next command when the answer to the last one is there."""
    answered = {person.user_id: asyncio.Event() for person in PEOPLE}
    otherwise: list[str] = []
    watching = asyncio.ensure_future(_watch(running.slack, answered, expected, otherwise))
    acks: list[float] = []
    answers: list[float] = []

    async def types(person: Person) -> None:
        for number in range(each):
            began = time.perf_counter()
            answered[person.user_id].clear()
            acks.append((await running.slack.types(person, f"/turso-rotate {text} {number}")).seconds)
            async with asyncio.timeout(20):
                await answered[person.user_id].wait()
            answers.append(time.perf_counter() - began)

    typing = psutil.Process()
    with uncollected():
        theirs, ours, began = running.cpu, spent(typing), time.perf_counter()
        await asyncio.gather(*(types(person) for person in PEOPLE[:parallel]))
        took, times = time.perf_counter() - began, parallel * each
    costs = (running.cpu - theirs) / times, (spent(typing) - ours) / times
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return Load(acks, answers, (times - len(otherwise)) / took, *costs, otherwise)


async def _watch(slack: LocalSlack, answered: dict[str, asyncio.Event], expected: str, otherwise: list[str]) -> None:
    async for change in slack.changes.subscribe():
        reader = getattr(change.subject, "ephemeral_to", None)
        if reader in answered:
            said = getattr(change.subject, "plain", "")
            if expected not in said:
                otherwise.append(said)
            answered[reader].set()


async def click(running: Running, times: int) -> list[float]:
    """Ask and press again and again; returns the times from the press until Turso has the request."""
    slack, person, taken = running.slack, PEOPLE[0], []
    for number in range(times):
        since = len(slack.messages)
        await slack.types(person, "/turso-rotate payments")
        card = await slack.sees(person, "Rotate the tokens of payments?", since=since)
        calls, pressed = running.turso.calls_to_rotate(), time.time()
        await slack.presses(person, card, CONFIRM)
        await running.turso.reached(calls + 1)
        arrived = next(request.at for request in reversed(running.turso.requests) if request.line.rotates)
        taken.append(arrived - pressed)
        await slack.called("chat.postMessage", number + 1)
    return taken


async def post(turso: LocalTurso, times: int) -> list[float]:
    """Post with a bare httpx, over a new connection each as the bot does; times until Turso has the request."""
    url = f"{turso.url}/v1/organizations/acme/groups/payments/auth/rotate"
    taken = []
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(limits=limits, headers={"Authorization": f"Bearer {DEFAULT_TOKEN}"}) as client:
        for _ in range(times):
            began = time.time()
            (await client.post(url)).raise_for_status()
            taken.append(turso.requests[-1].at - began)
    return taken
