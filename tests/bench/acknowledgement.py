"""How soon one command at a time is acknowledged, compared with a server that does nothing else."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from urllib.parse import urlencode

from tests.bench.databases import NewDatabase
from tests.bench.load import uncollected
from tests.bench.processes import PEOPLE, Running, bot, server
from tests.bench.report import percentile, ratio, title
from tests.bench.signing_client import SigningClient

LIMIT = 6.0
"""Of the bot's lower quartile divided by the bare server's; other load on the machine delays the slower half."""
_TURN = 20
"""Commands to one server before the next: what a server does after its answers must not slow down the others."""
_PAUSE = 0.005
"""Seconds before each command: people do not type back to back, so every server has been idle."""
_REFUSED = "/turso-rotate ../x"
Send = Callable[[], Awaitable[float]]
"""Sends one command and returns the seconds until it is acknowledged."""


async def acknowledgements(new_database: NewDatabase, times: int) -> None:
    """Compare the bot with a bare server and, without a limit, with a default Bolt app, which polls every 10 ms."""
    for mode in ("http", "socket"):
        async with AsyncExitStack() as stack:
            servers = bot(mode, new_database()), server("minimal", mode), server("bolt", mode)
            running = [await stack.enter_async_context(each) for each in servers]
            for each in running:
                await each.slack.types(PEOPLE[0], _REFUSED)  # at the first command, Bolt calls `auth.test`
            sends = [_over_http(stack, each) if mode == "http" else _over_socket(each) for each in running]
            ours, bare, bolt = await _alternately([_answered(running[0], sends[0]), *sends[1:]], times)
        title(f"Acknowledgement, one command at a time, {mode}")
        for percent, limit in ((25, LIMIT), (50, None), (99, None)):
            ratio(f"the bot / a bare server, p{percent}", percentile(ours, percent), percentile(bare, percent), limit)
        ratio("the bot / a default Bolt app, median", percentile(ours, 50), percentile(bolt, 50))


async def _alternately(sends: Sequence[Send], times: int) -> list[list[float]]:
    """Send to each server in turn, so that all of them run under the same load; leave out the first turn."""
    taken: list[list[float]] = [[] for _ in sends]
    with uncollected():
        for _ in range(1 + times // _TURN):
            for send, seconds in zip(sends, taken, strict=True):
                for _ in range(_TURN):
                    await asyncio.sleep(_PAUSE)
                    seconds.append(await send())
    return [seconds[_TURN:] for seconds in taken]


def _answered(running: Running, send: Send) -> Send:
    """Wait for the answer as well, as the person does."""
    numbers = count(2)  # one command was typed before

    async def sent() -> float:
        seconds = await send()
        await running.slack.called("response_url", next(numbers))
        return seconds

    return sent


def _over_http(stack: AsyncExitStack, running: Running) -> Send:
    assert running.slack.request_url is not None
    client = stack.enter_context(SigningClient(running.slack.request_url))

    async def sent() -> float:
        return client.post(urlencode(running.slack._payloads.command(PEOPLE[0], _REFUSED, "C0INCIDENT", None)))

    return sent


def _over_socket(running: Running) -> Send:
    async def sent() -> float:
        delivery = await running.slack.types(PEOPLE[0], _REFUSED)
        assert delivery.error is None, delivery.error
        return delivery.seconds

    return sent
