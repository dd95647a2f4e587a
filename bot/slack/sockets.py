"""Socket Mode: connect, fail clearly on a bad token, and reconnect when the connection is lost."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.domain.errors import SlackUnusable
from bot.ops.metrics import Metrics
from bot.slack.replies import FAILURES

_PING_SECONDS = 3.0
_WATCH_SECONDS = 1.0

log = structlog.get_logger(__name__)


class _LogOnce(logging.Filter):
    """Lets each reason through once per loss, in one line: slack-sdk 3.47 logs a traceback at every attempt."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, FAILURES):
            return True
        # Without session ids and the tickets in URLs, which differ in every attempt.
        line = re.sub(r",? ?url=\S+|\bs_-?\d+", "", record.getMessage().partition("\n")[0])
        record.msg, record.args, record.exc_info = line, (), None
        is_new = line not in self.seen
        self.seen.add(line)
        return is_new


class _Handler(AsyncSocketModeHandler):
    """Passes deliveries to Bolt, and times their acknowledgements."""

    def __init__(self, app: AsyncApp, app_token: str, metrics: Metrics, logger: logging.Logger) -> None:
        super().__init__(app, app_token, logger, ping_interval=_PING_SECONDS)
        self._metrics = metrics

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        arrived = self._metrics.arrives()
        await super().handle(client, req)
        self._metrics.acknowledged("socket", arrived)


class SocketConnection:
    """The Socket Mode connection to Slack, kept open."""

    def __init__(self, client: SocketModeClient, metrics: Metrics) -> None:
        self.healthy = True
        self._client = client
        self._metrics = metrics
        self._log_once = _LogOnce()
        self._session: object = None
        client.logger.addFilter(self._log_once)

    async def connected(self) -> bool:
        """Return whether Slack can reach the bot right now."""
        return await self._client.is_connected()

    async def watch(self) -> None:
        """Connect, and reconnect forever: slack-sdk 3.47 retries with a used ticket, or stops retrying."""
        connecting = asyncio.ensure_future(self._client.connect())  # type: ignore[no-untyped-call]
        try:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                if await self._client.is_connected():
                    self._note_connected()
                    continue
                if self.healthy:
                    log.warning("connection to Slack lost")
                    self.healthy = False
                # Never awaited here, because its own retries have no end; without the used ticket they get a new one.
                self._client.wss_uri = None
                if connecting.done() and not self._client.connect_operation_lock.locked():
                    connecting = asyncio.ensure_future(self._reconnect())
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)

    def _note_connected(self) -> None:
        refreshed = self._session is not None and self._session is not self._client.current_session
        if refreshed or not self.healthy:
            self._metrics.reconnected()
        if not self.healthy:
            log.info("connection to Slack is back")
        self.healthy, self._session = True, self._client.current_session
        self._log_once.seen.clear()

    async def _reconnect(self) -> None:
        with suppress(*FAILURES):
            await self._client.connect_to_new_endpoint()


@asynccontextmanager
async def open_socket(app: AsyncApp, app_token: str, metrics: Metrics) -> AsyncIterator[SocketConnection]:
    """Connect to Slack. Raises `SlackUnusable` if Slack rejects the app-level token or cannot be reached."""
    try:
        opened = await app.client.apps_connections_open(app_token=app_token)
    except SlackApiError as error:
        why = f"Slack does not accept SLACK_APP_TOKEN ({error.response.get('error')})."
        raise SlackUnusable(why) from None
    except FAILURES as error:
        raise SlackUnusable(f"Slack cannot be reached ({type(error).__name__}).") from None
    logger = logging.getLogger("bot.sockets")
    logger.setLevel(logging.ERROR)
    handler = _Handler(app, app_token, metrics, logger)
    handler.client.wss_uri = opened["url"]
    connection = SocketConnection(handler.client, metrics)
    watching = asyncio.ensure_future(connection.watch())
    try:
        yield connection
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await handler.close_async()  # type: ignore[no-untyped-call]
