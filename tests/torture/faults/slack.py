"""Faults of Slack: its API, `response_url`s and sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bot.sandbox.local_slack import LocalSlack
from tests.torture.rig import Rig
from tests.torture.schedule import Planned

_RECONNECT_SECONDS = 5.0


class SlackFaults:
    """What is sent to Slack fails, waits, or arrives without an answer."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._ledger = rig.ledger

    async def slack_fails(self, planned: Planned) -> None:
        """Let its API answer 500."""
        async with self._slack(planned) as slack:
            slack.fail("*", status=500)

    async def slack_is_slow(self, planned: Planned) -> None:
        """Let its API answer late."""
        async with self._slack(planned) as slack:
            slack.fail("*", delay=0.5 + planned.draw)

    async def slack_limits(self, planned: Planned) -> None:
        """Let it answer 429 to what is posted."""
        async with self._slack(planned) as slack:
            slack.fail("chat.postMessage", retry_after=1)

    async def slack_keeps_its_answers(self, planned: Planned) -> None:
        """Let it post, and close the connection without an answer."""
        async with self._slack(planned) as slack:
            slack.fail("chat.postMessage", drop=True, performs=True)

    async def response_urls_are_dead(self, planned: Planned) -> None:
        """Let nothing come of what is sent to a `response_url`."""
        async with self._slack(planned) as slack:
            slack.fail("response_url", status=404)

    async def slack_refuses_connections(self, planned: Planned) -> None:
        """Take it off the network, sockets included."""
        async with self._slack(planned, "sockets") as slack:
            await slack.go_offline()

    async def sockets_are_lost(self, planned: Planned) -> None:
        """Drop every socket, or announce it first."""
        async with self._slack(planned, "sockets") as slack:
            if planned.draw < 0.5:
                slack.drop_connections()
            else:
                await slack.disconnect()

    @asynccontextmanager
    async def _slack(self, planned: Planned, kind: str = "slack") -> AsyncIterator[LocalSlack]:
        slack = self._rig.slack
        with self._ledger.fault(kind, planned.name), self._ledger.fault("slack", planned.name):
            yield slack
            await asyncio.sleep(planned.lasts)
            slack.clear_faults()
            await slack.go_online()
            if kind == "sockets" and slack.request_url is None and "SLACK_APP_TOKEN" in self._rig.settings:
                await self._sockets_are_back()

    async def _sockets_are_back(self) -> None:
        sockets = self._rig.slack._server.sockets
        with suppress(TimeoutError):
            async with asyncio.timeout(_RECONNECT_SECONDS):
                await self._rig.slack.changes.until(lambda: len(sockets) == len(self._rig.replicas))
