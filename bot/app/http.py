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
"""Returns what keeps the bot from working; an empty list means ready."""
MetricsPage = Callable[[str], tuple[bytes, str]]
"""Returns the metrics in the format that the `Accept` header asks for, and their content type."""


def build_site(
    problems: Problems,
    warnings: Callable[[], list[str]],
    metrics_page: MetricsPage,
    slack: Callable[[Request], Awaitable[Response]] | None,
) -> Starlette:
    """Build the site: the endpoints for operators, and in HTTP mode the one for Slack."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_: Request) -> Response:
        found = await problems()
        status, code = ("not ready", 503) if found else ("ready", 200)
        more = [each for each in warnings() if each not in found]
        return JSONResponse({"status": status, "problems": found, "warnings": more}, code)

    async def metrics(request: Request) -> Response:
        page, content_type = metrics_page(request.headers.get("accept", ""))
        return Response(page, headers={"content-type": content_type})

    routes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    if slack is not None:
        routes.append(Route("/slack/events", slack, methods=["POST"]))
    return Starlette(routes=routes)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the bot, which finishes running rotations before it stops the server."""
        yield


@asynccontextmanager
async def serving(site: Starlette, host: str, port: int) -> AsyncIterator[int]:
    """Serve the site while the context is open; yield the port. Raises `SettingsError` if the port cannot be used."""
    listener = _listener(host, port)
    server = _Server(
        uvicorn.Config(
            site,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            http="httptools",
            proxy_headers=False,  # the address of the client is not used
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
        why = "that is not a host name"
    except OSError as error:
        why = str(error.strerror).partition(" (while")[0]  # Python appends the address
    raise SettingsError(f"HOST and PORT: the bot cannot listen at {host}, port {port}: {why}.")
