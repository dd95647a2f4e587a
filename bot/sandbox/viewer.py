"""What people see in the workspace, and the wait until they do."""

from collections.abc import Callable
from typing import TypeGuard, cast

from bot.sandbox.messages import Message
from bot.sandbox.views import View
from bot.sandbox.workspace import Person, Workspace


class Witness:
    """Looks over people's shoulders."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def messages(self, person: Person | None) -> list[Message]:
        """List what the person sees now, oldest first."""
        return [each for each in self._workspace.messages if self._workspace.shows(each, person)]

    async def message(self, person: Person | None, accepts: Callable[[Message], bool], since: int) -> Message:
        """Wait for a message that the person sees and that is accepted; of several, take the newest."""

        def fits(subject: Message | View | None) -> TypeGuard[Message]:
            if not isinstance(subject, Message) or subject.position < since:
                return False
            return self._workspace.shows(subject, person) and accepts(subject)

        for message in reversed(self._workspace.messages[since:]):
            if fits(message):
                return message
        change = await self._workspace.feed.first(lambda change: fits(change.subject))
        return cast("Message", change.subject)

    async def view(self, person: Person, accepts: Callable[[View], bool]) -> View:
        """Wait for the person's topmost modal, or Home tab, to be accepted."""
        while True:
            for view in self._views(person):
                if accepts(view):
                    return view
            await self._workspace.feed.first(lambda change: change.kind == "view")

    def _views(self, person: Person) -> list[View]:
        modals = [each for each in self._workspace.modals if each.user_id == person.user_id and not each.closed]
        home = self._workspace.homes.get(person.user_id)
        return modals[-1:] + ([] if home is None else [home])
