"""A hundred rotations at once while Turso takes ten seconds to answer and people keep typing."""

import asyncio
import re
import time
from contextlib import suppress
from statistics import median
from typing import Any

from bot.sandbox.faults import Fault
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from bot.slack.rotate.card import CONFIRM
from tests.bench.load import uncollected
from tests.bench.processes import PEOPLE, bot
from tests.bench.report import SLACK_SECONDS, ratio, row, times, title

DELAY = 10.0
"""Seconds that Turso takes to answer a rotation."""
GROUPS = tuple(f"group-{number:03}" for number in range(100))
_PATIENCE = 3 * DELAY
_PRESSING, _TYPING = PEOPLE[0], PEOPLE[1:5]
_PAUSE = 0.05
"""Seconds between two commands of a person: 80 commands a second at most, far from what the bot can do."""
_DONE = re.compile(r"Done: the tokens of (\S+) are rotated")


async def slow_turso(database_url: str) -> None:
    """Press a hundred buttons at once, and measure how soon they and the commands meanwhile are acknowledged."""
    settings = {"TURSO_TIMEOUT": str(_PATIENCE)}
    async with bot("http", database_url, groups=GROUPS, changes=settings) as running:
        cards = [await _card(running.slack, group) for group in GROUPS]
        with uncollected():
            before = await _typed(running.slack, asyncio.ensure_future(asyncio.sleep(DELAY / 4)))
            running.turso.inject(Fault(delay=DELAY))
            began = time.perf_counter()
            rotated = asyncio.ensure_future(_rotated(running.slack))
            presses, meanwhile = await asyncio.gather(_pressed(running.slack, cards), _typed(running.slack, rotated))
            took = time.perf_counter() - began
        calls = [running.turso.calls_to_rotate(group) for group in GROUPS]
    title(f"Turso answers after {DELAY:g} s, {len(GROUPS)} rotations at once")
    done = await rotated
    row("rotations that succeeded", f"{done} of {len(GROUPS)}, after {took:.1f} s", "all", met=done == len(GROUPS))
    once = calls.count(1)
    row("groups with exactly one call to Turso", f"{once} of {len(GROUPS)}", "all", met=once == len(GROUPS))
    times(f"{len(presses)} presses", presses, SLACK_SECONDS)
    times(f"{len(meanwhile)} commands meanwhile", meanwhile, SLACK_SECONDS)
    times(f"{len(before)} commands before", before)
    ratio("commands, median, meanwhile / before", median(meanwhile), median(before), 2)


async def _card(slack: LocalSlack, group: str) -> PostedMessage:
    await slack.types(_PRESSING, f"/turso-rotate {group}")
    return await slack.sees(_PRESSING, f"Rotate the tokens of {group}?")


async def _pressed(slack: LocalSlack, cards: list[PostedMessage]) -> list[float]:
    deliveries = await asyncio.gather(*(slack.presses(_PRESSING, card, CONFIRM) for card in cards))
    return [delivery.seconds for delivery in deliveries]


async def _typed(slack: LocalSlack, until: "asyncio.Future[Any]") -> list[float]:
    """Let a few people type until the future is done; return the seconds to each acknowledgement."""
    taken: list[float] = []

    async def types(person: Person) -> None:
        while not until.done():
            taken.append((await slack.types(person, f"/turso-rotate payments {len(taken)}")).seconds)
            await asyncio.sleep(_PAUSE)

    await asyncio.gather(*(types(person) for person in _TYPING))
    return taken


async def _rotated(slack: LocalSlack) -> int:
    """Wait until every rotation succeeded, or until patience ends; return how many did."""
    done: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            async for change in slack.changes.subscribe():
                done |= set(_DONE.findall(getattr(change.subject, "plain", "")))
                if len(done) == len(GROUPS):
                    break
    return len(done)
