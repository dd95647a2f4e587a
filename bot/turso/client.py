"""Ask Turso's Platform API to rotate a group, at most once, or to tell about it."""

import asyncio
import difflib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import quote

import httpx

from bot.domain.errors import Interrupted
from bot.domain.models import GroupInfo, GroupName, Outcome, Target
from bot.domain.names import GROUP_NAME
from bot.domain.states import State
from bot.domain.text import one_line
from bot.turso.answers import TursoAnswer, judge, never_sent, unanswered
from bot.turso.transport import Observe, clients, exchange, read

_ANSWER_BYTES, _PAGE_BYTES = 64 * 1024, 2 * 1024 * 1024
_FRESH_SECONDS = 5.0
_KEPT_FOR_THE_CALL = 0.1  # the part of the deadline no pause may eat: a call begun too late would end as unknown


@dataclass(slots=True)
class _Attempt:
    """What is known about one call, whatever interrupts it."""

    sent: bool = False  # its first byte may have left
    answer: TursoAnswer | None = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note that httpcore is about to write the request; a proxy's CONNECT is announced in the same way."""
        if event.endswith("send_request_headers.started") and info["request"].method == b"POST":
            self.sent = True


@dataclass(frozen=True, slots=True)
class _Page:
    """What could be read; the status is 0 where nothing could."""

    status: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0

    def rows(self, name: str) -> list[dict[str, Any]] | None:
        """Return a list of objects, if that is what stands there."""
        rows = self.data.get(name)
        return rows if isinstance(rows, list) and all(isinstance(row, dict) for row in rows) else None


class TursoClient:
    """One organization at Turso; an async context manager. Times are in seconds."""

    def __init__(  # noqa: PLR0913 - each is a setting
        self,
        *,
        organization: str,
        base_url: str,
        api_token: str | None,
        group_tokens: Mapping[str, str],
        timeout: float,
        version: str,
        read_seconds: float = 3.0,
        observe: Observe = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_token, self._group_tokens = api_token or "", dict(group_tokens)
        self._secrets = frozenset(filter(None, (api_token, *group_tokens.values())))
        if not all(re.fullmatch(r"[!-~]+", secret) for secret in self._secrets):  # h11 would quote the header
            raise ValueError("a Turso API token holds what cannot stand in a header")
        self._timeout, self._read_seconds, self._clock = timeout, read_seconds, clock
        self._caller, self._reader = clients(timeout, read_seconds, version)
        self._observe = observe
        self._base = httpx.URL(base_url)
        self._organization = f"/v1/organizations/{quote(organization, safe='')}/"
        self._request("GET", "groups", "")
        self._pages: dict[tuple[str, str], _Page] = {}
        self._flights: dict[tuple[str, str], asyncio.Task[_Page]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for flight in (flights := list(self._flights.values())):
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._reader.aclose()
        await self._caller.aclose()

    def __repr__(self) -> str:
        return f"TursoClient({self._base.host}{self._organization})"

    def has_token(self, group: GroupName) -> bool:
        """Say whether an API token is configured that is meant for the group."""
        return bool(self._token(group))

    async def rotate(self, target: Target) -> Outcome:
        """Rotate the target's key, which invalidates its tokens, with at most one call. Raises `Interrupted`."""
        attempt = _Attempt()
        group = _checked(target.name)
        request = self._request("POST", f"groups/{group}/auth/rotate", self._token(group), attempt)
        if not self.has_token(group):
            return Outcome(State.FAILED, f"The bot has no Turso API token for {group}: nothing was sent.")
        began = asyncio.get_running_loop().time()

        def outcome(error: BaseException | None) -> Outcome:
            seconds = asyncio.get_running_loop().time() - began
            return replace(self._outcome(target, attempt, error), seconds=seconds)

        try:
            return outcome(await self._call(request, attempt))
        except asyncio.CancelledError as error:
            raise Interrupted(outcome(error)) from error

    async def group_info(self, group: GroupName) -> GroupInfo:
        """Look at the group; a courtesy, whose parts may be missing."""
        if not self.has_token(_checked(group)):
            return GroupInfo(exists=None, databases=None)
        until = self._soon()
        (exists, similar), rows = await asyncio.gather(self._existence(group, until), self._databases(group, until))
        names, hosts = (tuple(one_line(str(row.get(key, ""))) for row in rows or ()) for key in ("Name", "Hostname"))
        return GroupInfo(exists, None if rows is None else names, tuple(filter(None, hosts)), similar)

    async def groups(self) -> tuple[GroupName, ...] | None:
        """List the groups (`None`: unreadable); without an organization's token, those the bot holds tokens for."""
        known = tuple(map(GroupName, sorted(self._group_tokens)))
        return await self._listed(self._api_token, self._soon()) if self._api_token else known

    def _soon(self) -> float:
        return asyncio.get_running_loop().time() + self._read_seconds

    def _token(self, group: str) -> str:
        return self._group_tokens.get(group) or self._api_token

    def _request(self, method: str, path: str, token: str, attempt: _Attempt | None = None) -> httpx.Request:
        url, headers = f"{str(self._base).rstrip('/')}{self._organization}{path}", {"Authorization": f"Bearer {token}"}
        extensions = {"trace": attempt.trace} if attempt else {}
        client = self._caller if method == "POST" else self._reader
        request = client.build_request(method, url, headers=headers, extensions=extensions)
        # httpx resolves `..`, even a quoted one, and `groups/../databases/x` would rotate a database.
        if request.url.raw_path != self._base.raw_path.rstrip(b"/") + f"{self._organization}{path}".encode():
            raise ValueError("this name would lead to another path at Turso")
        return request

    def _outcome(self, target: Target, attempt: _Attempt, error: BaseException | None) -> Outcome:
        if attempt.answer is not None:  # also when the deadline struck while its connection was being closed
            return judge(target, attempt.answer, self._secrets)
        return unanswered(error, self._timeout) if attempt.sent else never_sent(error, self._base.host)

    async def _call(self, request: httpx.Request, attempt: _Attempt) -> Exception | None:
        """Post until Turso answers something else than "later", or the deadline is over."""
        try:
            # httpx's time-outs begin anew with each byte; this one does not.
            async with asyncio.timeout(self._timeout) as deadline:
                await self._post(request, attempt)
                while (pause := self._pause(attempt.answer, deadline)) is not None:
                    await asyncio.sleep(pause)
                    attempt.sent, attempt.answer = False, None
                    await self._post(request, attempt)
        except Exception as error:  # noqa: BLE001 - whatever broke, what counts is whether the request left
            return error
        return None

    async def _post(self, request: httpx.Request, attempt: _Attempt) -> None:
        async with exchange(self._caller, request, self._observe) as response:
            body = await read(response, _ANSWER_BYTES)
            attempt.answer = TursoAnswer.of(response.status_code, response.headers, body)

    def _pause(self, answer: TursoAnswer | None, deadline: asyncio.Timeout) -> float | None:
        """Say how long to wait before the next attempt, if Turso wants that and it can be done in time."""
        pause = answer.pause if answer else None
        latest = (deadline.when() or 0.0) - self._timeout * _KEPT_FOR_THE_CALL
        return pause if pause is not None and asyncio.get_running_loop().time() + pause <= latest else None

    async def _existence(self, group: GroupName, until: float) -> tuple[bool | None, tuple[str, ...]]:
        listed = await self._listed(self._api_token or self._token(group), until)
        if listed is not None and group in listed:
            return True, ()
        # A token for one group may not list the others, and a list may be seconds old: ask for the very group.
        page = await self._page(f"groups/{group}", self._token(group), until)
        exists = {200: True, 404: False}.get(page.status)
        return exists, _similar(group, listed or ()) if exists is False else ()

    async def _databases(self, group: GroupName, until: float) -> list[dict[str, Any]] | None:
        rows = (await self._page(f"databases?group={group}", self._token(group), until)).rows("databases")
        return None if rows is None else [row for row in rows if row.get("group", group) == group]

    async def _listed(self, token: str, until: float) -> tuple[GroupName, ...] | None:
        rows = (await self._page("groups", token, until)).rows("groups")
        names = [str(row.get("name", "")) for row in rows or ()]
        return None if rows is None else tuple(GroupName(name) for name in names if GROUP_NAME.fullmatch(name))

    async def _page(self, path: str, token: str, until: float) -> _Page:
        """Read once for all who ask at the same time; what could be read stays good for a moment."""
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
        return flight.result() if flight.done() and not flight.cancelled() else _Page()

    async def _fetch(self, path: str, token: str) -> _Page:
        request = self._request("GET", path, token)
        try:
            async with (
                asyncio.timeout_at(self._soon()),
                exchange(self._reader, request, self._observe) as response,
            ):
                body = await read(response, _PAGE_BYTES)
            data = json.loads(body) if response.is_success and len(body) <= _PAGE_BYTES else {}
        except Exception:  # noqa: BLE001 - a courtesy: what cannot be read is missing
            return _Page()
        page = _Page(response.status_code, data if isinstance(data, dict) else {}, self._clock())
        if page.data:
            fresh = {key: kept for key, kept in self._pages.items() if page.at - kept.at < _FRESH_SECONDS}
            self._pages = {**fresh, (path, token): page}
        return page


def _checked(group: str) -> GroupName:
    """Raise where the parser should have: `../x` must never come this far."""
    if GROUP_NAME.fullmatch(group) is None:
        raise ValueError("not the name of a group")
    return GroupName(group)


def _similar(group: GroupName, names: tuple[str, ...]) -> tuple[str, ...]:
    """Find up to three names that come close, upper and lower case aside."""
    by_lower = {name.lower(): name for name in names}
    return tuple(by_lower[lower] for lower in difflib.get_close_matches(group.lower(), by_lower))
