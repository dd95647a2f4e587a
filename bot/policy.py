"""Who may do what: pure rules that give a reason, and in which absence denies."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.models import Actor, Grant, GroupLook, GroupName, Rotation, TeamId

OTHER_WORKSPACE = "This bot serves another workspace."
NOT_YOURS = "Only the person who asked for this rotation can confirm or cancel it."


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

    def refuses_request(self, actor: Actor, group: GroupName) -> str | None:
        """Say why the actor may not rotate the group, or return `None`."""
        if actor.team_id != self.team_id:
            return OTHER_WORKSPACE
        if self.grant_for(actor, group) is None:
            return f"You are not on the allowlist for {group}."
        return None

    def refuses_press(self, actor: Actor, rotation: Rotation) -> str | None:
        """Say why the actor may not decide the rotation, by confirming or by cancelling, or return `None`."""
        if actor.team_id == self.team_id and actor != rotation.requester:
            return NOT_YOURS
        return self.refuses_request(actor, rotation.group)


def refuses_lockout(look: GroupLook, database_host: str | None, group: GroupName) -> str | None:
    """Say why rotating the group would cut the bot off from its own audit trail, or return `None`.

    Where the bot's database is with Turso and the group's databases cannot be listed, the answer is no.
    """
    if database_host is None:
        return None
    if database_host in look.hostnames:
        return f"The bot keeps its own audit trail in {group}: rotating it would cut the bot off from its record."
    if look.databases is None and database_host.endswith(".turso.io"):
        return f"The bot's own database may live in {group}, and Turso could not be asked whether it does."
    return None
