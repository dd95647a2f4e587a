"""The least that can acknowledge a command: a route that checks the signature, or a Socket Mode client."""

import asyncio
import sys

import uvloop
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.app.http import serving

_VERIFIER = SignatureVerifier("local-signing-secret")


async def main(mode: str, api_url: str) -> None:
    """Serve until killed, on the bot's event loop and with its HTTP server and settings."""
    if mode == "socket":
        client = SocketModeClient("xapp-local-app", web_client=AsyncWebClient("xoxb-local-bot", base_url=api_url))
        client.socket_mode_request_listeners.append(_acknowledge)
        await client.connect()  # type: ignore[no-untyped-call]
        await asyncio.Event().wait()
    site = Starlette(routes=[Route("/slack/events", _check, methods=["POST"])])
    async with serving(site, "127.0.0.1", 0) as port:
        print(port, flush=True)
        await asyncio.Event().wait()


async def _check(request: Request) -> Response:
    """Answer 200 to a signed request, 401 to any other."""
    body = await request.body()
    timestamp, signature = (request.headers.get(f"x-slack-{name}", "") for name in ("request-timestamp", "signature"))
    return Response(status_code=200 if _VERIFIER.is_valid(body, timestamp, signature) else 401)


async def _acknowledge(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
    await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
