"""Who may do what: pure rules that return a reason for each refusal. What is not granted is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from bot.domain.errors import Refused
from bot.domain.grants import Grant, Role
from bot.domain.models import Actor, GroupInfo, GroupName, Rotation, TeamId, UserId
from bot.domain.refusals import Refusal

OTHER_WORKSPACE = "This bot serves another workspace."
NOT_YOURS = "Only the person who requested this rotation can confirm or cancel it."
NO_STORY = "You may not read the details of this rotation."
OWN_ONLY = "You may only read the history of your own requests."


@dataclass(frozen=True, slots=True)
class Visibility:
    """What a reader sees of history: their own requests, and the groups that match a pattern, or everything."""

    everything: bool
    patterns: tuple[str, ...]
    actor: Actor

    def covers(self, group: GroupName | None) -> bool:
        """Return whether the reader sees everybody's requests for the group; `None` is a request without a group."""
        return self.everything or (group is not None and any(fnmatchcase(group, each) for each in self.patterns))

    def includes(self, requester: Actor, group: GroupName | None) -> bool:
        """Return whether the reader sees this requester's request for the group."""
        return requester == self.actor or self.covers(group)


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules for one Slack team, with an actor's grants and the database's current time."""

    team_id: TeamId
    grants: Sequence[Grant]
    now: datetime
    at_terminal: bool = False
    """Whoever runs a command has the settings, and with them the database and Turso's token: no grant is needed."""

    def grant_for(self, actor: Actor, group: GroupName) -> Grant | None:
        """Return the grant that lets the actor rotate the group; of several, the one that lasts longest."""
        held = [grant for grant in self.grants if grant.covers(actor, group, self.now)]
        return max(held, key=lambda grant: (grant.until is None, grant.until or self.now), default=None)

    def refuses_request(self, actor: Actor, group: GroupName) -> Refused | None:
        """Return why the actor may not rotate the group, or `None` if they may."""
        if self.at_terminal:
            return None
        if actor.team_id != self.team_id:
            return Refused(OTHER_WORKSPACE, Refusal.OTHER_WORKSPACE)
        if self.grant_for(actor, group) is None:
            return Refused(f"You are not on the allowlist for {group}.", group=group)
        return None

    def refuses_press(self, actor: Actor, rotation: Rotation) -> Refused | None:
        """Return why the actor may not confirm or cancel the rotation, or `None` if they may."""
        if (self.at_terminal or actor.team_id == self.team_id) and actor != rotation.requester:
            return Refused(NOT_YOURS, Refusal.NOT_YOURS)
        return self.refuses_request(actor, rotation.group)

    def visibility(self, reader: Actor) -> Visibility:
        """Return what the reader sees of history, unless `refuses_reading` refuses them."""
        ours = [grant for grant in self.grants if grant.actor.team_id == self.team_id]
        held = [grant for grant in ours if grant.actor == reader and grant.in_force(self.now)]
        patterns = dict.fromkeys(grant.pattern for grant in held if grant.role is Role.ROTATE)
        return Visibility(any(grant.role is Role.AUDIT for grant in held), tuple(patterns), reader)

    def refuses_reading(self, reader: Actor, group: GroupName | None, person: UserId | None) -> Refused | None:
        """Return why the reader may not ask for a group's or a person's requests, or `None` if they may."""
        if reader.team_id != self.team_id:
            return Refused(OTHER_WORKSPACE, Refusal.OTHER_WORKSPACE)
        visibility = self.visibility(reader)
        if person == reader.user_id:
            return None
        if group is not None and not visibility.covers(group):
            return Refused(f"You may not read the history of {group}, only that of your own requests.")
        if person is not None and not (visibility.everything or visibility.patterns):
            return Refused(OWN_ONLY)
        return None

    def refuses_story(self, reader: Actor, rotation: Rotation) -> Refused | None:
        """Return why the reader may not read the story of the rotation, or `None` if they may."""
        if reader.team_id != self.team_id:
            return Refused(OTHER_WORKSPACE, Refusal.OTHER_WORKSPACE)
        return None if self.visibility(reader).includes(rotation.requester, rotation.group) else Refused(NO_STORY)


_TURSO_DOMAIN = ".turso.io"


def is_at_turso(host: str) -> bool:
    """Return whether the host is one of Turso's databases."""
    return host.lower().rstrip(".").endswith(_TURSO_DOMAIN)


def refuses_lockout(info: GroupInfo, database_hosts: Sequence[str], group: GroupName) -> Refused | None:
    """Return why rotating the group would cut the bot off from its own database, or `None` if it would not.

    If the bot's database is at Turso and the group's databases cannot be listed, refuse.
    """
    hosts = {host.lower().rstrip(".") for host in database_hosts}
    if not hosts.isdisjoint(host.lower() for host in info.hostnames):
        words = f"My own database is in {group}: rotating the group would cut me off from my audit trail."
        return Refused(words, Refusal.OWN_DATABASE, group)
    if info.databases is None and any(is_at_turso(host) for host in hosts):
        words = f"My own database may be in {group}, and I could not list the group's databases."
        return Refused(words, Refusal.OWN_DATABASE, group)
    return None
