"""The client for Turso's Platform API: it rotates a group with at most one call, and reads about groups."""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self
from urllib.parse import quote

import httpx

from bot.domain.lease import Lease
from bot.domain.models import GroupInfo, GroupName, Outcome, Target
from bot.domain.names import GROUP_NAME
from bot.domain.ports import Interrupted
from bot.domain.states import State
from bot.turso.answers import TursoAnswer, classify, never_sent, unanswered
from bot.turso.databases import of_group
from bot.turso.pages import PageReader
from bot.turso.transport import Observe, clients, exchange, read_body

_ANSWER_BYTES = 64 * 1024
_MAX_TRIES = 3  # of a call that is answered with 429
_CALL_SHARE = 0.1  # the end of the deadline, in which no further attempt starts: it would end as unknown


@dataclass(slots=True)
class _Attempt:
    """What is known about one call, even if it is interrupted."""

    lease: Lease
    sent: bool = False  # its first byte may have been sent
    answer: TursoAnswer | None = None  # of the last try that was sent
    tries: int = 0
    until: float = 0.0  # the deadline, on the loop's clock

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Check the lease right before httpcore writes the request, where raising still sends nothing.

        The same event announces a CONNECT to a proxy. Raises `LeaseSpent`.
        """
        if event.endswith("send_request_headers.started") and info["request"].method == b"POST":
            self.lease.require(self.until - asyncio.get_running_loop().time())
            self.sent, self.answer = True, None
            self.tries += 1


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
            raise ValueError("a Turso API token contains characters that a header cannot hold")
        self._timeout = timeout
        self._caller, self._reader = clients(timeout, read_seconds, version)
        self._observe = observe
        self._base = httpx.URL(base_url)
        self._organization = f"/v1/organizations/{quote(organization, safe='')}/"
        self._request("GET", "groups", "")
        self._pages = PageReader(self._reader, partial(self._request, "GET"), read_seconds, observe, clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pages.close()
        await self._reader.aclose()
        await self._caller.aclose()

    def __repr__(self) -> str:
        return f"TursoClient({self._base.host}{self._organization})"

    def has_token(self, group: GroupName) -> bool:
        """Look for a token of the group, else for one of the organization."""
        return bool(self._token(group))

    async def rotate(self, target: Target, lease: Lease) -> Outcome:
        """Call Turso, unless there is no token or the lease does not last. Raises `Interrupted`."""
        attempt = _Attempt(lease)
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
        """Read both parts at the same time, within the time limit for reading."""
        if not self.has_token(_checked(group)):
            return GroupInfo(exists=None, databases=None)
        until = self._pages.soon()
        exists, rows = await asyncio.gather(self._existence(group, until), self._databases(group, until))
        names, hostnames = of_group(group, rows or ())
        return GroupInfo(exists, None if rows is None else names, hostnames)

    async def group_of(self, database: str) -> GroupName | None:
        """Ask for the database; without a token for the organization, look for it in each group that has a token."""
        until = self._pages.soon()
        if self._api_token:
            page = await self._pages.read(f"databases/{_checked(database)}", self._api_token, until)
            found = page.data.get("database")
            group = found.get("group") if isinstance(found, dict) else None
            return GroupName(group) if isinstance(group, str) else None
        groups = tuple(map(GroupName, sorted(self._group_tokens)))
        pages = await asyncio.gather(*(self._databases(group, until) for group in groups))
        held = (group for group, rows in zip(groups, pages, strict=True) if database in of_group(group, rows or ())[0])
        return next(held, None)

    async def groups(self) -> tuple[GroupName, ...] | None:
        """List the groups; without a token for the organization, those that have a token of their own."""
        known = tuple(map(GroupName, sorted(self._group_tokens)))
        return await self._listed(self._api_token, self._pages.soon()) if self._api_token else known

    def _token(self, group: str) -> str:
        return self._group_tokens.get(group) or self._api_token

    def _request(self, method: str, path: str, token: str, attempt: _Attempt | None = None) -> httpx.Request:
        url, headers = f"{str(self._base).rstrip('/')}{self._organization}{path}", {"Authorization": f"Bearer {token}"}
        extensions = {"trace": attempt.trace} if attempt else {}
        client = self._caller if method == "POST" else self._reader
        request = client.build_request(method, url, headers=headers, extensions=extensions)
        # httpx resolves `..`, even a percent-encoded one, and `groups/../databases/x` would rotate a database.
        if request.url.raw_path != self._base.raw_path.rstrip(b"/") + f"{self._organization}{path}".encode():
            raise ValueError("this name would lead to another path at Turso")
        return request

    def _outcome(self, target: Target, attempt: _Attempt, error: BaseException | None) -> Outcome:
        if attempt.answer is not None:  # also when the deadline struck while its connection was being closed
            return classify(target, attempt.answer, self._secrets)
        return unanswered(error, self._timeout) if attempt.sent else never_sent(error, self._base.host)

    async def _call(self, request: httpx.Request, attempt: _Attempt) -> Exception | None:
        """Send the request, and once or twice more if the rate is limited and the deadline is not near."""
        try:
            # httpx's timeouts start again with each byte; this one does not.
            async with asyncio.timeout(self._timeout) as deadline:
                attempt.until = deadline.when() or 0.0
                await self._post(request, attempt)
                while (pause := self._pause(attempt)) is not None:
                    await asyncio.sleep(pause)
                    await self._post(request, attempt)
        except Exception as error:  # noqa: BLE001 - what counts is whether the request was sent
            return error
        return None

    async def _post(self, request: httpx.Request, attempt: _Attempt) -> None:
        async with exchange(self._caller, request, self._observe) as response:
            body = await read_body(response, _ANSWER_BYTES)
            whole = len(body) <= _ANSWER_BYTES
            attempt.answer = TursoAnswer.of(response.status_code, response.headers, body, whole=whole)

    def _pause(self, attempt: _Attempt) -> float | None:
        """Return how long to wait before the next try, if the answer asks for that and there is time for it."""
        pause = attempt.answer.pause if attempt.answer else None
        latest = attempt.until - self._timeout * _CALL_SHARE
        in_time = pause is not None and asyncio.get_running_loop().time() + pause <= latest
        return pause if in_time and attempt.tries < _MAX_TRIES else None

    async def _existence(self, group: GroupName, until: float) -> bool | None:
        listed = await self._listed(self._api_token or self._token(group), until)
        if listed is not None and group in listed:
            return True
        # A token for one group may not list others, and the list may be seconds old: ask for this group.
        page = await self._pages.read(f"groups/{group}", self._token(group), until)
        if isinstance(page.data.get("group"), dict):
            return True
        return False if page.says_no_group or (page.status == httpx.codes.NOT_FOUND and listed is not None) else None

    async def _databases(self, group: GroupName, until: float) -> list[dict[str, Any]] | None:
        return (await self._pages.read(f"databases?group={group}", self._token(group), until)).rows("databases")

    async def _listed(self, token: str, until: float) -> tuple[GroupName, ...] | None:
        rows = (await self._pages.read("groups", token, until)).rows("groups")
        names = [str(row.get("name", "")) for row in rows or ()]
        return None if rows is None else tuple(GroupName(name) for name in names if GROUP_NAME.fullmatch(name))


def _checked(group: str) -> GroupName:
    """Refuse what the parser should have refused, such as `../x`. Raises `ValueError`."""
    if GROUP_NAME.fullmatch(group) is None:
        raise ValueError("not the name of a group")
    return GroupName(group)
