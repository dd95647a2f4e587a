"""The page's server: files, a stream of what the viewer sees, and what the viewer does; on loopback only."""

import asyncio
import contextlib
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Self

from aiohttp import web

from bot.sandbox import scenario
from bot.sandbox.page_actions import Actions, NotPossibleError
from bot.sandbox.page_guard import guard, harden
from bot.sandbox.port import LOOPBACK
from bot.sandbox.sandbox import Stage
from bot.sandbox.snapshot import Viewer, snapshot, stage_set
from bot.sandbox.workspace import Person

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_CALM_SECONDS = 0.03  # changes come in flocks: one picture for each flock
_HEARTBEAT_SECONDS = 15.0
_BODY_BYTES = 200_000
_CLOSING = web.AppKey("closing", asyncio.Event)


class Page:
    """Serves one stage to any number of browsers; an async context manager."""

    def __init__(self, stage: Stage, port: int = 0) -> None:
        self.port = port  # 0 until open, if any free one will do
        self._stage = stage
        self._actions = Actions(stage).table
        self._app = web.Application(middlewares=[guard], client_max_size=_BODY_BYTES)
        self._app.on_response_prepare.append(harden)
        self._app[_CLOSING] = asyncio.Event()
        self._app.add_routes(
            [
                web.get("/", self._index),
                web.get("/static/{name}", self._file),
                web.get("/stage", self._set),
                web.get("/events", self._events),
                web.post("/do/{what}", self._does),
            ]
        )
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, LOOPBACK, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._app[_CLOSING].set()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return f"http://{LOOPBACK}:{self.port}/"

    async def _index(self, _: web.Request) -> web.Response:
        return _served(_static("index.html"))

    async def _file(self, request: web.Request) -> web.Response:
        return _served(_static(request.match_info["name"]))

    async def _set(self, _: web.Request) -> web.Response:
        return web.json_response(stage_set())

    async def _does(self, request: web.Request) -> web.Response:
        act = self._actions.get(request.match_info["what"])
        said = await _json(request)
        if act is None or said is None:
            raise web.HTTPBadRequest
        try:
            await act(_person(str(said.get("as"))), said)
        except NotPossibleError:
            raise web.HTTPConflict(text="That is not there any more.") from None
        return web.json_response({"ok": True})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        person = _person(request.query.get("as", ""))
        viewer = Viewer.of(self._stage, person, request.query.get("since", ""))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await self._streams(response, viewer)
        return response

    async def _streams(self, response: web.StreamResponse, viewer: Viewer) -> None:
        """Send a picture whenever it differs from the last one: whoever reconnects has missed nothing."""
        shown = ""
        while not self._app[_CLOSING].is_set():
            version = self._stage.version  # before the picture: what changes meanwhile makes another one
            picture = json.dumps(snapshot(self._stage, viewer))
            news = f"data: {picture}" if picture != shown else ": still here"
            await response.write(f"{news}\n\n".encode())
            shown = picture
            await self._awaits(version)
            await asyncio.sleep(_CALM_SECONDS)

    async def _awaits(self, version: int) -> None:
        changed = asyncio.ensure_future(self._stage.changes(version))
        closing = asyncio.ensure_future(self._app[_CLOSING].wait())
        either = {changed, closing}
        try:
            await asyncio.wait(either, timeout=_HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in either:
                each.cancel()


def _person(user_id: str) -> Person:
    for role in scenario.ROLES:
        if role.person.user_id == user_id:
            return role.person
    raise web.HTTPBadRequest


async def _json(request: web.Request) -> dict[str, Any] | None:
    try:
        said = await request.json()
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _static(name: str) -> Traversable:
    """Find a file of the page, by a name from the folder's own listing: no path can lead elsewhere."""
    for file in (files("bot.sandbox") / "static").iterdir():
        if file.name == name and file.is_file():
            return file
    raise web.HTTPNotFound


def _served(file: Traversable) -> web.Response:
    kind = _TYPES.get(file.name.rpartition(".")[2], "application/octet-stream")
    return web.Response(body=file.read_bytes(), content_type=kind, charset="utf-8")
