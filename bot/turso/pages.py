"""Read pages of the Platform API: once for all who ask at the same time, and again only after some seconds."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from bot.turso.answers import TursoAnswer
from bot.turso.transport import Observe, exchange, read_body

_PAGE_BYTES = 2 * 1024 * 1024
_FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ApiPage:
    """What could be read; the status is 0 if nothing could."""

    status: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0
    says_no_group: bool = False
    """It says that there is no such group."""

    def rows(self, name: str) -> list[dict[str, Any]] | None:
        """Return the list under this name, if it is a list of objects."""
        rows = self.data.get(name)
        return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


class PageReader:
    """Reads pages, each within `seconds`. No method raises for what Turso or the network do."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        request: Callable[[str, str], httpx.Request],
        seconds: float,
        observe: Observe,
        clock: Callable[[], float],
    ) -> None:
        """Read with this client; `request` makes the request from a path and an API token."""
        self._client = client
        self._request = request
        self._seconds = seconds
        self._observe = observe
        self._clock = clock
        self._pages: dict[tuple[str, str], ApiPage] = {}
        self._flights: dict[tuple[str, str], asyncio.Task[ApiPage]] = {}

    async def close(self) -> None:
        """Give up what is being read."""
        for flight in (flights := list(self._flights.values())):
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def soon(self) -> float:
        """Return when a page that is asked for now must be there, on the loop's clock."""
        return asyncio.get_running_loop().time() + self._seconds

    async def read(self, path: str, token: str, until: float) -> ApiPage:
        """Read a page once for all concurrent callers; it is kept for a few seconds."""
        key = (path, token)
        kept = self._pages.get(key)
        if kept is not None and self._clock() - kept.at < _FRESH_SECONDS:
            return kept
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._fetch(path, token))
            flight.add_done_callback(lambda _: self._flights.pop(key))
        # Unlike `await flight`, this does not cancel it for the others.
        await asyncio.wait({flight}, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        return flight.result() if flight.done() and not flight.cancelled() else ApiPage()

    async def _fetch(self, path: str, token: str) -> ApiPage:
        request = self._request(path, token)
        try:
            async with asyncio.timeout_at(self.soon()), exchange(self._client, request, self._observe) as response:
                body = await read_body(response, _PAGE_BYTES)
            whole = len(body) <= _PAGE_BYTES
            if not response.is_success:
                answer = TursoAnswer.of(response.status_code, response.headers, body, whole=whole)
                return ApiPage(response.status_code, says_no_group=answer.says_no_group)
            data = json.loads(body) if whole else {}
        except Exception:  # noqa: BLE001 - what cannot be read is only missing on the card
            return ApiPage()
        page = ApiPage(response.status_code, data if isinstance(data, dict) else {}, self._clock())
        if page.data:
            fresh = {key: kept for key, kept in self._pages.items() if page.at - kept.at < _FRESH_SECONDS}
            self._pages = {**fresh, (path, token): page}
        return page
