"""A local Turso that reads the bot's database at the moment at which a rotation reaches it."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from aiohttp import web

from bot.sandbox.local_turso import LocalTurso
from bot.sandbox.platform_api import RequestLine
from tests.torture.facts import Call
from tests.torture.tables import Tables


class RecordingTurso(LocalTurso):
    """Notes for each call what the database held when it arrived, and what was answered."""

    def __init__(self, groups: Mapping[str, Sequence[str]], tables: Tables) -> None:
        super().__init__(groups=groups)
        self.calls: list[Call] = []
        self._tables = tables

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse | None:
        target = RequestLine.parse(request.method, request.raw_path).rotates
        if target is None:
            return await super()._respond(request)
        at, readable, running, number = time.time(), False, None, len(self.calls)
        self.calls.append(Call(at, at, target[1], None, performed=False, success=False, readable=False))
        with suppress(OSError):
            running, readable = await self._tables.running(target[1]), True
        before, response = len(self.requests), None
        try:
            response = await super()._respond(request)
        finally:
            record = self.requests[before]
            self.calls[number] = Call(
                at, time.time(), target[1], record.status, record.performed, _says_success(response), readable, running
            )
        return response


def _says_success(response: web.StreamResponse | None) -> bool:
    """Return whether an answer says, unmistakably, that the key was rotated."""
    if not isinstance(response, web.Response) or response.status not in {200, 204}:
        return False
    body = response.body if isinstance(response.body, bytes) else b""
    if not body:
        return True
    try:
        content = json.loads(body)
    except ValueError:
        return False
    return isinstance(content, dict) and not content.get("error")
