"""Where the app's requests to Slack arrive, are recorded, and are answered or spoiled."""

import asyncio
import time
from typing import Any

from aiohttp import web

from bot.sandbox.chat_methods import ChatMethods
from bot.sandbox.directory_methods import DirectoryMethods
from bot.sandbox.faults import Exchange
from bot.sandbox.methods import Answer, Arguments, Method
from bot.sandbox.port import Port
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.sockets import Sockets
from bot.sandbox.troubles import Troubles
from bot.sandbox.view_methods import ViewMethods
from bot.sandbox.web_api import RESPONSE_URL, Call, WebApi, arguments
from bot.sandbox.workspace import APP_ID, Workspace

EVERYTHING = "*"  # a target of faults: all requests but WebSocket handshakes


class Reception:
    """Serves `/api/`, `/response/` and `/link/` on one port."""

    def __init__(
        self, workspace: Workspace, urls: ResponseUrls, views: ViewMethods, tokens: tuple[str, str], port: int
    ) -> None:
        self.calls: list[Call] = []
        self.troubles = Troubles()
        self.sockets = Sockets(workspace.feed)
        self.port = Port(self._answers, port)
        self._workspace = workspace
        self._urls = urls
        self.methods = {
            **ChatMethods(workspace).table(),
            **DirectoryMethods(workspace).table(),
            **views.table(),
            "apps.connections.open": Method(self._opens_connection),
        }
        self._api = WebApi(workspace, *tokens, self.methods)
        self._released = asyncio.Event()

    async def _answers(self, request: web.BaseRequest) -> web.StreamResponse | None:
        if request.path.startswith("/link/"):
            return await self.sockets.serve(request)
        call = self._records(request, await request.read())
        fault = self.troubles.next(call.method, EVERYTHING)
        reused = self.port.reused(request)
        usual = web.Response()
        if fault is None or fault.takes_effect(reused=reused):
            usual = self._performs(call)
        response: web.StreamResponse | None = usual
        if fault is not None:
            response = await fault.befalls(Exchange(request, usual, reused, self._released))
        call.status = None if response is None else response.status
        return response

    def _records(self, request: web.BaseRequest, body: bytes) -> Call:
        _, kind, name = (*request.path.split("/", 2), "", "")[:3]
        method = {"api": name, "response": RESPONSE_URL}.get(kind, request.path)
        call = Call(method, arguments(request, body), request.headers, time.time(), request.path)
        self.calls.append(call)
        self._workspace.feed.publish("call")
        return call

    def _performs(self, call: Call) -> web.Response:
        if call.method == RESPONSE_URL:
            status, call.error = self._urls.answers(call.path.removeprefix("/response/"), call.payload)
            return _text("ok") if call.error is None else _json({"ok": False, "error": call.error}, status)
        if not call.path.startswith("/api/"):
            return web.Response(status=404, text="not found")
        answer = self._api.answers(call)
        call.error = answer.get("error")
        return _json(answer, headers={"x-oauth-scopes": ",".join(self._workspace.scopes)})

    def _opens_connection(self, _: Arguments) -> Answer:
        query = f"ticket={self.sockets.ticket()}&app_id={APP_ID}"
        return {"ok": True, "url": f"{self.port.url.replace('http', 'ws')}/link/?{query}"}


def _json(content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(content, status=status, headers=headers)


def _text(text: str) -> web.Response:
    return web.Response(text=text)
