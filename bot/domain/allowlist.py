"""The use cases around grants: who is added and removed, by whom, with what is recorded, and who could do what when."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from bot.domain.errors import UsageError
from bot.domain.models import Action, Actor, Event, Grant, GroupName, Organization, Role
from bot.domain.names import GROUP_NAME, storable
from bot.domain.ports import GrantSnapshot, NewGrant

EVERYTHING = "*"
"""The pattern of an auditor's grant."""
_USER = re.compile(r"[UW][A-Z0-9]{2,30}")
_TEAM = re.compile(r"T[A-Z0-9]{2,30}")
_PATTERN = re.compile(r"[A-Za-z0-9_*?\[\]!-]{1,128}")
_NOTE_LIMIT = 200


class AllowlistStore(Protocol):
    """The allowlist as it is kept. All of it may raise `DatabaseError`."""

    async def all(self, *, revoked: bool = False) -> GrantSnapshot:
        """Read every grant."""
        ...

    async def add(self, new: NewGrant, event: Event) -> Grant:
        """Insert a grant together with its event."""
        ...

    async def revoke(
        self, actor: Actor, pattern: str | None, event: Event, *, role: Role | None = None
    ) -> Sequence[Grant]:
        """Mark grants as revoked, each together with its event; `None` stands for any pattern or role."""
        ...


class Allowlist:
    """The allowlist, changed by one operator."""

    def __init__(self, book: AllowlistStore, operator: Actor, organization: Organization) -> None:
        self._book = book
        self._operator = operator
        self._organization = organization

    async def add(
        self,
        actor: Actor,
        pattern: str | None,
        *,
        role: Role = Role.ROTATE,
        last_day: date | None = None,
        note: str = "",
    ) -> Grant:
        """Allow the actor to rotate the groups that match, or to read everything.

        `last_day` (UTC) is the last one on which the grant holds. Raises `UsageError` on ids, patterns and days that
        cannot be meant.
        """
        new = NewGrant(actor, _pattern(pattern, role), _end(last_day), storable(note).strip()[:_NOTE_LIMIT], role)
        check(actor, new.pattern)
        held = await self._book.all()
        if any(_same(grant, new) for grant in held.grants if grant.in_force(held.now)):
            raise UsageError(f"{actor.user_id} {allowance(role, new.pattern)} already; remove that grant first.")
        if new.until is not None and new.until <= held.now:
            raise UsageError(f"{last_day} is over; the grant would never hold.")
        return await self._book.add(new, Event(Action.GRANTED, self._operator, self._organization, detail=_facts(new)))

    async def remove(self, actor: Actor, pattern: str | None = None, role: Role | None = None) -> Sequence[Grant]:
        """Revoke the actor's grants: all of them, those of a role, or the one to rotate exactly that pattern.

        Raises `UsageError` if there is none.
        """
        check(actor, pattern or EVERYTHING)
        if pattern is not None:
            role = role or Role.ROTATE
            _pattern(pattern, role)
        detail = {"user": actor.user_id, "team": actor.team_id}
        event = Event(Action.REVOKED, self._operator, self._organization, detail=detail)
        revoked = await self._book.revoke(actor, pattern, event, role=role)
        if not revoked:
            raise UsageError(f"{actor.user_id} has no such grant.")
        return revoked

    async def read(self, *, revoked: bool = False) -> GrantSnapshot:
        """Read the grants, and the database's time to judge them by."""
        return await self._book.all(revoked=revoked)

    async def held_by(self, actor: Actor) -> Sequence[Grant]:
        """Read the actor's grants in force."""
        held = await self._book.all()
        return [grant for grant in held.grants if grant.actor == actor and grant.in_force(held.now)]

    async def who(self, group: str, since: datetime | None, until: datetime | None = None) -> Sequence[Grant]:
        """Read the grants by which anybody could rotate the group at a moment from `since` to before `until`.

        Without `until` it is the moment `since`, without both it is now. Raises `UsageError` on what is no group.
        """
        if not GROUP_NAME.fullmatch(group):
            raise UsageError("Name one group, as Turso calls it; a pattern is none.")
        held = await self._book.all(revoked=True)
        first = since or held.now
        return [grant for grant in held.grants if could_rotate(grant, GroupName(group), first, until)]


def could_rotate(grant: Grant, group: GroupName, since: datetime, until: datetime | None) -> bool:
    """Say whether its holder could rotate the group by it at `since`, or at any moment from then to before `until`."""
    if not grant.matches(group):
        return False
    if until is not None and since < grant.granted_at < until:
        return grant.in_force(grant.granted_at)  # one that was revoked at once never held
    return grant.in_force(since)


def allowance(role: Role, pattern: str) -> str:
    """Say what a grant lets its holder do."""
    return f"may rotate {pattern}" if role is Role.ROTATE else "may read everything and rotate nothing"


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


def _pattern(pattern: str | None, role: Role) -> str:
    """Give the pattern that is meant. Raises `UsageError` where it does not fit the role."""
    if role is Role.AUDIT:
        if pattern not in {None, EVERYTHING}:
            raise UsageError("An auditor reads everything and rotates nothing: there is no group to name.")
        return EVERYTHING
    if pattern is None:
        raise UsageError("Name a group, or a pattern like 'prod-*', with --group.")
    return pattern


def _end(last_day: date | None) -> datetime | None:
    """Give the first instant after a day. Raises `UsageError` after the last day there is."""
    if last_day is None:
        return None
    if last_day == date.max:
        raise UsageError(f"No calendar goes beyond {last_day}; leave the end open.")
    return datetime.combine(last_day + timedelta(days=1), time(), UTC)


def _same(grant: Grant, new: NewGrant) -> bool:
    return (grant.actor, grant.role, grant.pattern) == (new.actor, new.role, new.pattern)


def _facts(new: NewGrant) -> dict[str, object]:
    facts: dict[str, object] = {
        "user": new.actor.user_id,
        "team": new.actor.team_id,
        "role": str(new.role),
        "pattern": new.pattern,
        "note": new.note,
    }
    return facts if new.until is None else {**facts, "until": new.until.isoformat()}
