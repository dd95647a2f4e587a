"""The use cases of the allowlist: add and remove grants, and find out who could rotate a group at some time."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from bot.domain.errors import UsageError
from bot.domain.events import Action, Event
from bot.domain.grants import Grant, GrantSnapshot, NewGrant, Role
from bot.domain.models import Actor, GroupName, Organization
from bot.domain.names import GROUP_NAME, TEAM_ID, USER_ID
from bot.domain.readable import Readable
from bot.domain.text import storable

EVERYTHING = "*"
"""The pattern of an auditor's grant."""
_PATTERN = re.compile(r"[A-Za-z0-9_*?\[\]!-]{1,128}")
_NOTE_LIMIT = 200


class AllowlistStore(Protocol):
    """The allowlist, for changing. Methods may raise `DatabaseError`."""

    async def all(self, *, revoked: bool = False) -> GrantSnapshot:
        """Read every grant; revoked ones only if asked for."""

    async def add(self, new: NewGrant, event: Event) -> Grant:
        """Insert a grant together with its event."""

    async def revoke(
        self, actor: Actor, pattern: str | None, event: Event, *, role: Role | None = None
    ) -> Readable[Grant]:
        """Mark grants as revoked, each together with its event; `None` means any pattern or role."""


class Allowlist:
    """The allowlist, changed by one operator."""

    def __init__(self, store: AllowlistStore, operator: Actor, organization: Organization) -> None:
        self._store = store
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
        """Allow the actor to rotate the matching groups, or to read everything.

        `last_day` (UTC) is the last one on which the grant holds. Raises `UsageError` for ids, patterns and days that
        make no sense.
        """
        new = NewGrant(actor, _pattern(pattern, role), _end(last_day), storable(note).strip()[:_NOTE_LIMIT], role)
        check(actor, new.pattern)
        held = await self._store.all()
        wanted = (new.actor, new.role, new.pattern)
        if any((grant.actor, grant.role, grant.pattern) == wanted for grant in held.in_force):
            already = f"a grant for {new.pattern}" if role is Role.ROTATE else "an auditor's grant"
            raise UsageError(f"{actor.user_id} already has {already}; remove that grant first.")
        if new.until is not None and new.until <= held.now:
            raise UsageError(f"{last_day} is in the past: the grant would never be in force.")
        return await self._store.add(new, Event(Action.GRANTED, self._operator, self._organization, detail=_facts(new)))

    async def remove(self, actor: Actor, pattern: str | None = None, role: Role | None = None) -> Readable[Grant]:
        """Revoke the actor's grants: all of them, those of a role, or the one to rotate exactly that pattern.

        Raises `UsageError` if there is none.
        """
        check(actor, pattern or EVERYTHING)
        if pattern is not None:
            role = role or Role.ROTATE
            _pattern(pattern, role)
        detail = {"user": actor.user_id, "team": actor.team_id}
        event = Event(Action.REVOKED, self._operator, self._organization, detail=detail)
        revoked = await self._store.revoke(actor, pattern, event, role=role)
        if not revoked.found:
            raise UsageError(f"{actor.user_id} has no such grant.")
        return revoked

    async def read(self, *, revoked: bool = False) -> GrantSnapshot:
        """Read the grants, with the database's time."""
        return await self._store.all(revoked=revoked)

    async def held_by(self, actor: Actor) -> Sequence[Grant]:
        """Read the actor's grants in force."""
        return [grant for grant in (await self._store.all()).in_force if grant.actor == actor]

    async def who(self, group: str, since: datetime | None, until: datetime | None = None) -> Readable[Grant]:
        """Read the grants that let somebody rotate the group at some moment from `since` to before `until`.

        Without `until`, at the moment `since`; without both, now. Raises `UsageError` if it is not a group's name.
        """
        if not GROUP_NAME.fullmatch(group):
            raise UsageError("Give a group name, not a pattern.")
        held, name = await self._store.all(revoked=True), GroupName(group)
        if since is None:
            found = [grant for grant in held.in_force if grant.matches(name)]
        else:
            found = [grant for grant in held.grants if could_rotate(grant, name, since, until)]
        return Readable(found, held.unreadable)


def could_rotate(grant: Grant, group: GroupName, since: datetime, until: datetime | None) -> bool:
    """Return whether the grant let its holder rotate the group at `since`, or at any moment until before `until`."""
    if not grant.matches(group):
        return False
    if until is not None and since < grant.granted_at < until:
        return grant.held_at(grant.granted_at)  # one revoked in the same instant never held
    return grant.held_at(since)


def allowance(role: Role, pattern: str) -> str:
    """Return what a grant lets its holder do, as the rest of a sentence."""
    return f"may rotate {pattern}" if role is Role.ROTATE else "may read everything and rotate nothing"


def check(actor: Actor, pattern: str) -> None:
    """Check that a user, a team and a pattern make sense. Raises `UsageError`."""
    if not USER_ID.fullmatch(actor.user_id):
        raise UsageError("USER must be a Slack ID, such as U024BE7LH (in Slack: profile → ⋮ → Copy member ID).")
    if not TEAM_ID.fullmatch(actor.team_id):
        raise UsageError("TEAM must be a Slack ID, such as T012AB3CD.")
    if not _PATTERN.fullmatch(pattern):
        raise UsageError("GROUP must be a name, or a pattern with *, ? and [...], such as 'prod-*'.")


def _pattern(pattern: str | None, role: Role) -> str:
    """Return the pattern of a grant. Raises `UsageError` if it does not fit the role."""
    if role is Role.AUDIT:
        if pattern not in {None, EVERYTHING}:
            raise UsageError("An auditor reads everything and rotates nothing: leave out --group.")
        return EVERYTHING
    if pattern is None:
        raise UsageError("Name a group, or a pattern like 'prod-*', with --group.")
    return pattern


def _end(last_day: date | None) -> datetime | None:
    """Return the first instant after a day. Raises `UsageError` for the last day of the calendar."""
    if last_day is None:
        return None
    if last_day == date.max:
        raise UsageError(f"{last_day} is the last day of the calendar: leave out --until for a grant without an end.")
    return datetime.combine(last_day + timedelta(days=1), time(), UTC)


def _facts(new: NewGrant) -> dict[str, object]:
    facts: dict[str, object] = {
        "user": new.actor.user_id,
        "team": new.actor.team_id,
        "role": str(new.role),
        "pattern": new.pattern,
        "note": new.note,
    }
    return facts if new.until is None else {**facts, "until": new.until.isoformat()}
