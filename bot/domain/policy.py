"""Who may do what: pure rules that give a reason, and in which absence denies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from bot.domain.errors import Refusal, Refused
from bot.domain.models import Actor, Grant, GroupInfo, GroupName, Role, Rotation, TeamId, UserId

OTHER_WORKSPACE = "This bot serves another workspace."
NOT_YOURS = "Only the person who asked for this rotation can confirm or cancel it."
NOT_TOLD = "You may not read the story of this rotation."
OWN_ONLY = "You may read the history of your own requests only."


@dataclass(frozen=True, slots=True)
class Visibility:
    """How far one reader sees into history: their own requests, and the groups that a pattern names, or everything."""

    everything: bool
    patterns: tuple[str, ...]
    actor: Actor

    def covers(self, group: GroupName | None) -> bool:
        """Say whether the reader sees everybody's requests about the group; `None` is no group at all."""
        return self.everything or (group is not None and any(fnmatchcase(group, each) for each in self.patterns))

    def sees(self, requester: Actor, group: GroupName | None) -> bool:
        """Say whether the reader sees a request."""
        return requester == self.actor or self.covers(group)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for one team, with the grants in force and the database's time of now."""

    team_id: TeamId
    grants: Sequence[Grant]
    now: datetime

    def grant_for(self, actor: Actor, group: GroupName) -> Grant | None:
        """Find the grant that lets the actor rotate the group: the one that lasts longest."""
        held = [grant for grant in self.grants if grant.covers(actor, group, self.now)]
        return max(held, key=lambda grant: (grant.until is None, grant.until or self.now), default=None)

    def refuses_request(self, actor: Actor, group: GroupName) -> Refused | None:
        """Say why the actor may not rotate the group, or return `None`."""
        if actor.team_id != self.team_id:
            return Refused(OTHER_WORKSPACE, Refusal.OTHER_WORKSPACE)
        if self.grant_for(actor, group) is None:
            return Refused(f"You are not on the allowlist for {group}.", group=group)
        return None

    def refuses_press(self, actor: Actor, rotation: Rotation) -> Refused | None:
        """Say why the actor may not decide the rotation, by confirming or by cancelling, or return `None`."""
        if actor.team_id == self.team_id and actor != rotation.requester:
            return Refused(NOT_YOURS, Refusal.NOT_YOURS)
        return self.refuses_request(actor, rotation.group)

    def sight(self, reader: Actor) -> Visibility:
        """Say how far the reader sees, where they are not refused."""
        ours = [grant for grant in self.grants if grant.actor.team_id == self.team_id]
        held = [grant for grant in ours if grant.actor == reader and grant.in_force(self.now)]
        patterns = dict.fromkeys(grant.pattern for grant in held if grant.role is Role.ROTATE)
        return Visibility(any(grant.role is Role.AUDIT for grant in held), tuple(patterns), reader)

    def refuses_reading(self, reader: Actor, group: GroupName | None, person: UserId | None) -> Refused | None:
        """Say why the reader may not ask for the requests about a group or of a person, or return `None`."""
        if reader.team_id != self.team_id:
            return Refused(OTHER_WORKSPACE, Refusal.OTHER_WORKSPACE)
        sight = self.sight(reader)
        if person == reader.user_id:
            return None
        if group is not None and not sight.covers(group):
            return Refused(f"You may not read the history of {group}, only that of your own requests.")
        if person is not None and not (sight.everything or sight.patterns):
            return Refused(OWN_ONLY)
        return None

    def refuses_story(self, reader: Actor, rotation: Rotation) -> Refused | None:
        """Say why the reader may not read the story of the rotation, or return `None`."""
        if reader.team_id != self.team_id:
            return Refused(OTHER_WORKSPACE, Refusal.OTHER_WORKSPACE)
        return None if self.sight(reader).sees(rotation.requester, rotation.group) else Refused(NOT_TOLD)


def refuses_lockout(look: GroupInfo, database_host: str | None, group: GroupName) -> Refused | None:
    """Say why rotating the group would cut the bot off from its own audit trail, or return `None`.

    Where the bot's database is with Turso and the group's databases cannot be listed, the answer is no.
    """
    if database_host is None:
        return None
    if database_host in look.hostnames:
        words = f"The bot keeps its own audit trail in {group}: rotating it would cut the bot off from its record."
        return Refused(words, Refusal.OWN_DATABASE, group)
    if look.databases is None and database_host.endswith(".turso.io"):
        words = f"The bot's own database may live in {group}, and Turso could not be asked whether it does."
        return Refused(words, Refusal.OWN_DATABASE, group)
    return None
