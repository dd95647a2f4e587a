"""The use case of noting a rotation that was made by hand, so that older cards do not end the tokens minted since."""

from datetime import datetime

from bot.domain.errors import UsageError
from bot.domain.events import Action, Event
from bot.domain.models import Actor, GroupName, Organization
from bot.domain.names import GROUP_NAME
from bot.domain.periods import rfc3339
from bot.domain.ports import AuditTrail
from bot.domain.resolution import NOTE_LIMIT
from bot.domain.text import storable


class Notes:
    """The notes of one operator about one organization's groups."""

    def __init__(self, trail: AuditTrail, operator: Actor, organization: Organization) -> None:
        self._trail = trail
        self._operator = operator
        self._organization = organization

    async def note(self, group: str, at: datetime, note: str, now: datetime) -> None:
        """Record that somebody rotated the group at some moment, without the bot.

        Raises `UsageError` if that is no name of a group, if the moment is still to come or if the note is empty.
        """
        note = storable(note).strip()[:NOTE_LIMIT]
        if not GROUP_NAME.fullmatch(group):
            raise UsageError("Give a group name, not a pattern.")
        if at > now:
            raise UsageError("That time is still to come: note a rotation after it was made.")
        if not note:
            raise UsageError("Say in the note who rotated the group, and how.")
        detail = {"rotated_at": rfc3339(at), "note": note}
        await self._trail.append(
            Event(Action.NOTED, self._operator, self._organization, GroupName(group), detail=detail)
        )
