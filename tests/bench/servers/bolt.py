"""A Bolt app with default settings that acknowledges every command, and echoes those that begin with `echo`."""

import asyncio
import socket
import sys

import uvicorn
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def main(mode: str, api_url: str) -> None:
    """Serve until killed."""
    client = AsyncWebClient("xoxb-local-bot", base_url=api_url)
    app = AsyncApp(client=client, signing_secret="local-signing-secret")

    @app.command("/turso-rotate")
    async def on_command(ack: AsyncAck, respond: AsyncRespond, command: dict[str, str]) -> None:
        await ack()
        if command["text"].startswith("echo"):
            await respond(command["text"])

    if mode == "socket":
        await AsyncSocketModeHandler(app, "xapp-local-app").start_async()  # type: ignore[no-untyped-call]
        return
    handler = AsyncSlackRequestHandler(app)

    async def events(request: Request) -> Response:
        return await handler.handle(request)

    site = Starlette(routes=[Route("/slack/events", events, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        await uvicorn.Server(uvicorn.Config(site, log_config=None, http="httptools")).serve([listener])


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
