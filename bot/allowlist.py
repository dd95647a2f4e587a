"""The use cases around grants: who is added and removed, by whom, with what is recorded."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from bot.errors import UsageError
from bot.models import Action, Actor, Event, Grant, Organization
from bot.ports import Held, NewGrant

_USER = re.compile(r"[UW][A-Z0-9]{2,30}")
_TEAM = re.compile(r"T[A-Z0-9]{2,30}")
_PATTERN = re.compile(r"[A-Za-z0-9_*?\[\]!-]{1,128}")
_NOTE_LIMIT = 200


class GrantBook(Protocol):
    """The allowlist as it is kept. All of it may raise `DatabaseError`."""

    async def all(self, *, revoked: bool = False) -> Held:
        """Read every grant."""
        ...

    async def add(self, new: NewGrant, event: Event) -> Grant:
        """Insert a grant together with its event."""
        ...

    async def revoke(self, actor: Actor, pattern: str | None, event: Event) -> Sequence[Grant]:
        """Mark grants as revoked, each together with its event."""
        ...


class Allowlist:
    """The allowlist, changed by one operator."""

    def __init__(self, book: GrantBook, operator: Actor, organization: Organization) -> None:
        self._book = book
        self._operator = operator
        self._organization = organization

    async def add(self, actor: Actor, pattern: str, *, last_day: date | None = None, note: str = "") -> Grant:
        """Allow the actor the groups that match; `last_day` (UTC) is the last one on which the grant holds.

        Raises `UsageError` on ids, patterns and days that cannot be meant.
        """
        check(actor, pattern)
        if any(grant.actor == actor and grant.pattern == pattern for grant in await self._in_force()):
            raise UsageError(f"{actor.user_id} may rotate {pattern} already; remove that grant first.")
        until = None if last_day is None else datetime.combine(last_day + timedelta(days=1), time(), UTC)
        if until is not None and until <= (await self._book.all()).now:
            raise UsageError(f"{last_day} is over; the grant would never hold.")
        detail = {"user": actor.user_id, "team": actor.team_id, "pattern": pattern, "note": note[:_NOTE_LIMIT]}
        if until is not None:
            detail["until"] = until.isoformat()
        event = Event(Action.GRANTED, self._operator, self._organization, detail=detail)
        return await self._book.add(NewGrant(actor, pattern, until, note[:_NOTE_LIMIT]), event)

    async def remove(self, actor: Actor, pattern: str | None) -> Sequence[Grant]:
        """Revoke the actor's grants with exactly that pattern, or all of them. Raises `UsageError` if there is none."""
        check(actor, pattern or "*")
        detail = {"user": actor.user_id, "team": actor.team_id}
        event = Event(Action.REVOKED, self._operator, self._organization, detail=detail)
        revoked = await self._book.revoke(actor, pattern, event)
        if not revoked:
            raise UsageError(f"{actor.user_id} has no such grant.")
        return revoked

    async def read(self, *, revoked: bool = False) -> Held:
        """Read the grants, and the database's time to judge them by."""
        return await self._book.all(revoked=revoked)

    async def _in_force(self) -> list[Grant]:
        held = await self._book.all()
        return [grant for grant in held.grants if grant.in_force(held.now)]


def check(actor: Actor, pattern: str) -> None:
    """Say what is wrong with a user, a team or a pattern. Raises `UsageError`."""
    if not _USER.fullmatch(actor.user_id):
        raise UsageError(
            "A user is named by the id that Slack gives them, like U024BE7LH (profile → ⋮ → Copy member ID)."
        )
    if not _TEAM.fullmatch(actor.team_id):
        raise UsageError("A team is named by the id that Slack gives it, like T012AB3CD.")
    if not _PATTERN.fullmatch(pattern):
        raise UsageError("A group is a name, or a pattern with *, ? and [...], like 'prod-*'.")
