"""Turso at ten seconds an answer: a hundred rotations of different groups at once, while people type on."""

import asyncio
import re
import time
from contextlib import suppress
from typing import Any

from bot.sandbox.faults import Fault
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from bot.slack.rotate.card import CONFIRM
from tests.bench.commands import uncollected
from tests.bench.processes import PEOPLE, bot
from tests.bench.report import ratio, row, times, title

SECONDS = 10.0
GROUPS = tuple(f"group-{number:03}" for number in range(100))
PRESSING, TYPING = PEOPLE[0], PEOPLE[1:5]
_PAUSE = 0.05  # so 80 commands a second at most, far from what it can do
_DONE = re.compile(r"Done: the tokens of (\S+) are rotated")


async def slow_turso(database_url: str) -> None:
    """Press a hundred buttons at once, and see how soon those and the commands meanwhile are acknowledged."""
    patient = {"TURSO_TIMEOUT": str(2 * SECONDS)}
    async with bot("http", database_url, groups=GROUPS, changes=patient) as running:
        cards = [await _asks(running.slack, group) for group in GROUPS]
        with uncollected():
            before = await _typed(running.slack, asyncio.ensure_future(asyncio.sleep(SECONDS / 4)))
            running.turso.inject(Fault(delay=SECONDS))
            began = time.perf_counter()
            ended = asyncio.ensure_future(_ended(running.slack))
            clicks, during = await asyncio.gather(_pressed(running.slack, cards), _typed(running.slack, ended))
            took = time.perf_counter() - began
    title(f"Turso answers after {SECONDS:g} s, {len(GROUPS)} rotations at once")
    done, calls = await ended, running.turso.calls_to_rotate()
    each = sum(running.turso.calls_to_rotate(group) == 1 for group in GROUPS)
    row(
        "rotations that ended as done, all after",
        f"{done} of {len(GROUPS)}, {took:.1f} s",
        "all",
        met=done == len(GROUPS),
    )
    row("calls to Turso; groups with exactly one", f"{calls}; {each}", "100; 100", met=calls == each == len(GROUPS))
    times(f"{len(clicks)} clicks", clicks, 0.1)
    times(f"{len(during)} commands meanwhile", during, 0.1)
    times(f"{len(before)} commands before", before)
    ratio("commands, mean, meanwhile / before", sum(during) / len(during), sum(before) / len(before))


async def _asks(slack: LocalSlack, group: str) -> PostedMessage:
    await slack.types(PRESSING, f"/turso-rotate {group}")
    return await slack.sees(PRESSING, f"Rotate the tokens of {group}?")


async def _pressed(slack: LocalSlack, cards: list[PostedMessage]) -> list[float]:
    deliveries = await asyncio.gather(*(slack.presses(PRESSING, card, CONFIRM) for card in cards))
    return [delivery.seconds for delivery in deliveries]


async def _typed(slack: LocalSlack, until: "asyncio.Future[Any]") -> list[float]:
    """Let a few people type until something has ended; returns the times to the acknowledgements."""
    taken: list[float] = []

    async def types(person: Person) -> None:
        while not until.done():
            taken.append((await slack.types(person, f"/turso-rotate payments {len(taken)}")).seconds)
            await asyncio.sleep(_PAUSE)

    await asyncio.gather(*(types(person) for person in TYPING))
    return taken


async def _ended(slack: LocalSlack) -> int:
    """Wait until every rotation is done, or for twice as long as that should take; returns how many are."""
    done: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(2 * SECONDS):
            async for change in slack.changes.subscribe():
                done |= set(_DONE.findall(getattr(change.subject, "plain", "")))
                if len(done) == len(GROUPS):
                    break
    return len(done)
