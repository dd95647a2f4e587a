"""The HTTP endpoints, and the server under them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.domain.errors import SettingsError

Problems = Callable[[], Awaitable[list[str]]]
"""Says what keeps the bot from working; an empty list means ready."""
Numbers = Callable[[str], tuple[bytes, str]]
"""Writes what operators watch, in the format that an `Accept` header asks for; gives it with its content type."""


def build_site(
    problems: Problems, numbers: Numbers, slack: Callable[[Request], Awaitable[Response]] | None
) -> Starlette:
    """Build the site: Slack's door only in HTTP mode, the endpoints for operators always."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        found = await problems()
        return JSONResponse({"status": "not ready" if found else "ready", "problems": found}, 503 if found else 200)

    async def metrics(request: Request) -> Response:
        page, content_type = numbers(request.headers.get("accept", ""))
        return Response(page, headers={"content-type": content_type})

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    if slack is not None:
        routes.append(Route("/slack/events", slack, methods=["POST"]))
    return Starlette(routes=routes)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the bot, which has rotations to finish before the server may go."""
        yield


@asynccontextmanager
async def serving(site: Starlette, host: str, port: int) -> AsyncIterator[int]:
    """Serve the site while the context is open; yields the port. Raises `SettingsError` if it cannot be bound."""
    listener = _listener(host, port)
    server = _Server(
        uvicorn.Config(
            site,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            http="httptools",
            proxy_headers=False,  # nobody here asks where a request came from
        )
    )
    running = asyncio.ensure_future(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except UnicodeError:
        why = "that is not the name of a host"
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]  # Python adds the address in its own notation
    raise SettingsError(f"HOST and PORT: nothing can listen at {host}, port {port}: {why}.")
