"""The page's server on loopback: static files, a stream of snapshots, and the actions of the person."""

import asyncio
import contextlib
import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Self

from aiohttp import web

from bot.sandbox import scenario
from bot.sandbox.json_object import JsonObject
from bot.sandbox.loopback import LOOPBACK
from bot.sandbox.page_actions import ActionNotPossibleError, PageActions
from bot.sandbox.page_guard import guard, harden
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.snapshot import PageSession, sandbox_info, snapshot
from bot.sandbox.workspace import Person

_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_DEBOUNCE_SECONDS = 0.03  # changes come in bursts: one snapshot for each burst
_HEARTBEAT_SECONDS = 15.0
_BODY_BYTES = 200_000
_CLOSING = web.AppKey("closing", asyncio.Event)


class PageServer:
    """Serve one sandbox to any number of browsers; an async context manager."""

    def __init__(self, sandbox: Sandbox, port: int = 0) -> None:
        self.port = port  # 0 until opened, if any free port will do
        self._sandbox = sandbox
        self._actions = PageActions(sandbox).table
        self._app = web.Application(middlewares=[guard], client_max_size=_BODY_BYTES)
        self._app.on_response_prepare.append(harden)
        self._app[_CLOSING] = asyncio.Event()
        self._app.add_routes(
            [
                web.get("/", self._index),
                web.get("/static/{name}", self._file),
                web.get("/sandbox", self._info),
                web.get("/events", self._events),
                web.post("/actions/{name}", self._act),
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
        return _file_response(_static_file("index.html"))

    async def _file(self, request: web.Request) -> web.Response:
        return _file_response(_static_file(request.match_info["name"]))

    async def _info(self, _: web.Request) -> web.Response:
        return web.json_response(sandbox_info())

    async def _act(self, request: web.Request) -> web.Response:
        action = self._actions.get(request.match_info["name"])
        arguments = await _json(request)
        if action is None or arguments is None:
            raise web.HTTPBadRequest
        try:
            await action(_person(str(arguments.get("as"))), arguments)
        except ActionNotPossibleError:
            raise web.HTTPConflict(text="This is no longer possible.") from None
        return web.json_response({"ok": True})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        person = _person(request.query.get("as", ""))
        session = PageSession.resume(self._sandbox, person, request.query.get("since", ""))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            await self._stream(response, session)
        return response

    async def _stream(self, response: web.StreamResponse, session: PageSession) -> None:
        """Send a snapshot whenever it differs from the last one; a page that reconnects has missed nothing."""
        sent = ""
        while not self._app[_CLOSING].is_set():
            version = self._sandbox.version  # read first: a change during the snapshot causes another one
            current = json.dumps(snapshot(self._sandbox, session))
            event = f"data: {current}" if current != sent else ": heartbeat"
            await response.write(f"{event}\n\n".encode())
            sent = current
            await self._wait_for_change(version)
            await asyncio.sleep(_DEBOUNCE_SECONDS)

    async def _wait_for_change(self, version: int) -> None:
        changed = asyncio.ensure_future(self._sandbox.changed(version))
        closing = asyncio.ensure_future(self._app[_CLOSING].wait())
        tasks = {changed, closing}
        try:
            await asyncio.wait(tasks, timeout=_HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def _person(user_id: str) -> Person:
    for user in scenario.USERS:
        if user.person.user_id == user_id:
            return user.person
    raise web.HTTPBadRequest


async def _json(request: web.Request) -> JsonObject | None:
    try:
        decoded = await request.json()
    except ValueError:
        return None
    return decoded if isinstance(decoded, dict) else None


def _static_file(name: str) -> Traversable:
    """Find a file of the page by a name from the folder's own listing, so that no path leads elsewhere."""
    for file in (files("bot.sandbox") / "static").iterdir():
        if file.name == name and file.is_file():
            return file
    raise web.HTTPNotFound


def _file_response(file: Traversable) -> web.Response:
    kind = _TYPES.get(file.name.rpartition(".")[2], "application/octet-stream")
    return web.Response(body=file.read_bytes(), content_type=kind, charset="utf-8")
