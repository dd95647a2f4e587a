"""People who type commands in parallel, and what they saw."""

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.workspace import Person
from tests.bench.processes import PEOPLE, Running, cpu_seconds

_ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Load:
    """What one run showed; times in seconds."""

    acks: Sequence[float]
    answers: Sequence[float]
    """From the command to the answer that the person reads."""
    rate: float
    """Expected answers a second."""
    cpu: float
    """Processor time of the measured process for one command."""
    client_cpu: float
    """Processor time of this process for one command, which the measured one lacks where processors are few."""
    unexpected: Sequence[str]
    """Answers other than the expected one, such as that the database does not respond."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect no garbage in this process: a pause of 0.1 s would be charged to the measured one."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def load(running: Running, parallel: int, each: int, text: str, expected: str) -> Load:
    """Let people type in parallel; each types the next command when the answer to the last one has arrived."""
    answered = {person.user_id: asyncio.Event() for person in PEOPLE}
    unexpected: list[str] = []
    watching = asyncio.ensure_future(_watch(running.slack, answered, expected, unexpected))
    acks: list[float] = []
    answers: list[float] = []

    async def types(person: Person) -> None:
        for number in range(each):
            began = time.perf_counter()
            answered[person.user_id].clear()
            acks.append((await running.slack.types(person, f"/turso-rotate {text} {number}")).seconds)
            async with asyncio.timeout(_ANSWER_SECONDS):
                await answered[person.user_id].wait()
            answers.append(time.perf_counter() - began)

    client = psutil.Process()
    with uncollected():
        cpu, client_cpu, began = running.cpu_seconds, cpu_seconds(client), time.perf_counter()
        await asyncio.gather(*(types(person) for person in PEOPLE[:parallel]))
        took, commands = time.perf_counter() - began, parallel * each
    costs = (running.cpu_seconds - cpu) / commands, (cpu_seconds(client) - client_cpu) / commands
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    return Load(acks, answers, (commands - len(unexpected)) / took, *costs, unexpected)


async def _watch(slack: LocalSlack, answered: dict[str, asyncio.Event], expected: str, unexpected: list[str]) -> None:
    async for change in slack.changes.subscribe():
        reader = getattr(change.subject, "ephemeral_to", None)
        if reader in answered:
            text = getattr(change.subject, "plain", "")
            if expected not in text:
                unexpected.append(text)
            answered[reader].set()
