"""The HTTP server that receives, records and answers the app's requests to Slack."""

import asyncio
import time

from aiohttp import web

from bot.sandbox.chat_methods import ChatMethods
from bot.sandbox.directory_methods import DirectoryMethods
from bot.sandbox.fault_plan import FaultPlan
from bot.sandbox.faults import Exchange
from bot.sandbox.json_object import JsonObject
from bot.sandbox.loopback import LoopbackServer
from bot.sandbox.methods import Method
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.sockets import SocketServer
from bot.sandbox.view_methods import ViewMethods
from bot.sandbox.web_api import RESPONSE_URL, ApiCall, WebApi, decode_arguments
from bot.sandbox.workspace import APP_ID, Workspace

ANY_METHOD = "*"
"""A target of faults: all requests but WebSocket handshakes."""


class SlackServer:
    """Serve `/api/`, `/response/` and `/link/` on one port."""

    def __init__(self, workspace: Workspace, urls: ResponseUrls, views: ViewMethods, tokens: tuple[str, str]) -> None:
        self.calls: list[ApiCall] = []
        self.faults = FaultPlan()
        self.sockets = SocketServer(workspace.changes)
        self.http = LoopbackServer(self._respond)
        self._workspace = workspace
        self._urls = urls
        self.methods = {
            **ChatMethods(workspace).table(),
            **DirectoryMethods(workspace).table(),
            **views.table(),
            "apps.connections.open": Method(self._open_connection),
        }
        self._api = WebApi(workspace, *tokens, self.methods)
        self._released = asyncio.Event()

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse | None:
        if request.path.startswith("/link/"):
            return await self.sockets.serve(request)
        call = self._record(request, await request.read())
        fault = self.faults.take(call.method, ANY_METHOD)
        reused = self.http.is_reused(request)
        usual = web.Response()
        if fault is None or fault.takes_effect(reused=reused):
            usual = self._perform(call)
        response: web.StreamResponse | None = usual
        if fault is not None:
            response = await fault.apply(Exchange(request, usual, reused, self._released))
        call.status = None if response is None else response.status
        return response

    def _record(self, request: web.BaseRequest, body: bytes) -> ApiCall:
        _, kind, name = (*request.path.split("/", 2), "", "")[:3]
        method = {"api": name, "response": RESPONSE_URL}.get(kind, request.path)
        call = ApiCall(method, decode_arguments(request, body), request.headers, time.time(), request.path)
        self.calls.append(call)
        self._workspace.changes.publish("call")
        return call

    def _perform(self, call: ApiCall) -> web.Response:
        if call.method == RESPONSE_URL:
            status, call.error = self._urls.handle(call.path.removeprefix("/response/"), call.payload)
            if call.error is None:
                return web.Response(text="ok")
            return web.json_response({"ok": False, "error": call.error}, status=status)
        if not call.path.startswith("/api/"):
            return web.Response(status=404, text="not found")
        response = self._api.handle(call)
        call.error = response.get("error")
        return web.json_response(response, headers={"x-oauth-scopes": ",".join(self._workspace.scopes)})

    def _open_connection(self, _: JsonObject) -> JsonObject:
        query = f"ticket={self.sockets.issue_ticket()}&app_id={APP_ID}"
        return {"ok": True, "url": f"{self.http.url.replace('http', 'ws')}/link/?{query}"}
