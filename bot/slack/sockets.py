"""Socket Mode: connect, fail clearly on a bad token, and come back by itself when the connection is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bot.errors import SlackUnusable
from bot.slack.replies import FAILURES

_PING_SECONDS = 3.0
_WATCH_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Sockets:
    """One connection to Slack, kept alive."""

    def __init__(self, client: SocketModeClient) -> None:
        self._client = client

    async def connected(self) -> bool:
        """Say whether Slack can reach the bot right now."""
        return await self._client.is_connected()

    async def watch(self) -> None:
        """Connect, and reconnect for ever: slack-sdk 3.47 retries a used ticket for ever, and may stop altogether."""
        connecting = asyncio.ensure_future(self._client.connect())  # type: ignore[no-untyped-call]
        try:
            lost = False
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                if await self._client.is_connected():
                    lost = False
                    continue
                if not lost:
                    log.warning("connection to Slack lost")
                    lost = True
                # Never awaited here: its own retries have no end, and each needs the used ticket taken away.
                self._client.wss_uri = None
                if connecting.done() and not self._client.connect_operation_lock.locked():
                    connecting = asyncio.ensure_future(self._reconnect())
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    async def _reconnect(self) -> None:
        with suppress(*FAILURES):
            await self._client.connect_to_new_endpoint()


@asynccontextmanager
async def open_sockets(app: AsyncApp, app_token: str) -> AsyncIterator[Sockets]:
    """Connect to Slack. Raises `SlackUnusable` when Slack does not take the app-level token."""
    try:
        opened = await app.client.apps_connections_open(app_token=app_token)
    except SlackApiError as error:
        why = f"Slack does not accept SLACK_APP_TOKEN ({error.response.get('error')})."
        raise SlackUnusable(why) from None
    except FAILURES as error:
        raise SlackUnusable(f"Slack cannot be reached ({type(error).__name__}).") from None
    handler = AsyncSocketModeHandler(app, app_token, ping_interval=_PING_SECONDS)
    handler.client.wss_uri = opened["url"]
    sockets = Sockets(handler.client)
    watching = asyncio.ensure_future(sockets.watch())
    try:
        yield sockets
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await handler.close_async()  # type: ignore[no-untyped-call]
