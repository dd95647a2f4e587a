"""The use case of noting a rotation that was made by hand, so that older cards do not end the tokens minted since."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bot.domain.errors import NoSuchGroup, UsageError
from bot.domain.events import Action, Event
from bot.domain.models import Actor, GroupName, Organization
from bot.domain.names import GROUP_NAME
from bot.domain.naming import alike, similar
from bot.domain.periods import rfc3339
from bot.domain.ports import RotationStore
from bot.domain.text import kept

_EARLIEST = datetime(2023, 1, 1, tzinfo=UTC)


class Notes:
    """The notes of one operator about one organization's groups."""

    def __init__(self, store: RotationStore, operator: Actor, organization: Organization) -> None:
        self._store = store
        self._operator = operator
        self._organization = organization

    async def note(self, group: GroupName, at: datetime, note: str, now: datetime) -> None:
        """Record that somebody rotated the group at some moment, without the bot.

        Raises `UsageError` if the moment is still to come or long ago, or if the note is empty.
        """
        note = kept(note)
        if at > now:
            raise UsageError("That time is still to come: note a rotation after it was made.")
        if at < _EARLIEST:
            raise UsageError(f"Turso had no groups in {at:%Y}. Check the time.")
        if not note:
            raise UsageError("Say in the note who rotated the group, and how.")
        detail = {"rotated_at": rfc3339(at), "note": note}
        await self._store.note(Event(Action.NOTED, self._operator, self._organization, group, detail=detail))


def spell(typed: str, listed: Sequence[GroupName] | None, recorded: Sequence[GroupName]) -> tuple[GroupName, bool]:
    """Return the group's name as Turso or the record spells it, and whether either knows it.

    `listed` are Turso's groups, `None` if they cannot be listed. Raises `UsageError`, or `NoSuchGroup` if Turso's list
    does not have the group: under a misspelt name, a note would keep no card from ending new tokens.
    """
    if not GROUP_NAME.fullmatch(typed):
        raise UsageError("Give a group name, not a pattern.")
    known, name = recorded if listed is None else listed, GroupName(typed)
    found = name if name in known else alike(name, known)
    if found is None and listed is not None:
        raise NoSuchGroup(name, similar(name, listed))
    return found or name, found is not None
