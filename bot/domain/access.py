"""The one place where the policy for an actor is put together."""

from bot.domain.models import TERMINAL, Actor, TeamId
from bot.domain.policy import Policy
from bot.domain.ports import GrantStore


class PolicySource:
    """Puts together policies for the members of one Slack team, or for the people at the terminal."""

    def __init__(self, team_id: TeamId, grants: GrantStore) -> None:
        self._team_id = team_id
        self._grants = grants

    async def policy_for(self, actor: Actor) -> Policy:
        """Read what decides about the actor now. Raises `DatabaseError`."""
        held = await self._grants.held_by(actor)
        return Policy(self._team_id, held.grants, held.now, at_terminal=self._team_id == TERMINAL)
