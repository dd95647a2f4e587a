"""Grants: lines of the allowlist, and what they allow."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from bot.domain.errors import UnreadableRow
from bot.domain.models import Actor, GrantId, GroupName


class Role(StrEnum):
    """What a grant lets its holder do."""

    ROTATE = "rotate"
    """Rotate the matching groups, and read their history."""
    AUDIT = "audit"
    """Read everything, rotate nothing."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of the allowlist."""

    id: GrantId
    actor: Actor
    pattern: str
    """A group name, or a glob with `*`, `?` and `[...]`; case-sensitive."""
    until: datetime | None
    """The first instant at which the grant no longer holds (UTC)."""
    note: str
    granted_at: datetime
    granted_by: Actor
    revoked_at: datetime | None = None
    revoked_by: Actor | None = None
    role: Role = Role.ROTATE

    @property
    def last_day(self) -> str | None:
        """The last day (UTC) on which the grant holds, as `YYYY-MM-DD`; `None` if it has no end."""
        return None if self.until is None else (self.until - timedelta(microseconds=1)).date().isoformat()

    def in_force(self, now: datetime) -> bool:
        """Return whether the grant holds now.

        A grant that stands here was granted, and one that was revoked stays so: a clock that steps back after either
        changes nothing.
        """
        return self.revoked_at is None and (self.until is None or now < self.until)

    def held_at(self, moment: datetime) -> bool:
        """Return whether the grant held at a moment, by the times on record."""
        return (
            self.granted_at <= moment
            and (self.until is None or moment < self.until)
            and (self.revoked_at is None or moment < self.revoked_at)
        )

    def covers(self, actor: Actor, group: GroupName, now: datetime) -> bool:
        """Return whether the grant lets `actor` rotate `group` at `now`."""
        return self.actor == actor and self.matches(group) and self.in_force(now)

    def matches(self, group: GroupName) -> bool:
        """Return whether the grant allows its holder, at some time, to rotate `group`."""
        return self.role is Role.ROTATE and fnmatchcase(group, self.pattern)


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant to be added to the allowlist."""

    actor: Actor
    pattern: str
    until: datetime | None
    note: str
    role: Role = Role.ROTATE


@dataclass(frozen=True, slots=True)
class GrantSnapshot:
    """Grants, and the database's time at which they were read."""

    grants: tuple[Grant, ...]
    now: datetime
    unreadable: tuple[UnreadableRow, ...] = ()
    """The others, which allow nothing."""

    @property
    def in_force(self) -> tuple[Grant, ...]:
        """The grants that held when they were read."""
        return tuple(grant for grant in self.grants if grant.in_force(self.now))
