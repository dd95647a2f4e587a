"""What a person sees in the workspace, now or as soon as it appears."""

from collections.abc import Callable
from typing import TypeGuard, cast

from bot.sandbox.messages import PostedMessage
from bot.sandbox.views import View
from bot.sandbox.workspace import Person, Workspace


class Viewer:
    """Read the workspace through a person's eyes."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def messages(self, person: Person | None) -> list[PostedMessage]:
        """List what the person sees now, oldest first."""
        return [each for each in self._workspace.messages if self._workspace.is_visible(each, person)]

    async def message(
        self, person: Person | None, accepts: Callable[[PostedMessage], bool], since: int
    ) -> PostedMessage:
        """Wait for a message that the person sees and that is accepted; of several, return the newest."""

        def fits(subject: PostedMessage | View | None) -> TypeGuard[PostedMessage]:
            if not isinstance(subject, PostedMessage) or subject.position < since:
                return False
            return self._workspace.is_visible(subject, person) and accepts(subject)

        for message in reversed(self._workspace.messages[since:]):
            if fits(message):
                return message
        change = await self._workspace.changes.first(lambda change: fits(change.subject))
        return cast("PostedMessage", change.subject)

    async def view(self, person: Person, accepts: Callable[[View], bool]) -> View:
        """Wait until the person's topmost modal, or Home tab, is accepted."""
        while True:
            for view in self._views(person):
                if accepts(view):
                    return view
            await self._workspace.changes.first(lambda change: change.kind == "view")

    def _views(self, person: Person) -> list[View]:
        modals = [each for each in self._workspace.modals if each.user_id == person.user_id and not each.closed]
        home = self._workspace.homes.get(person.user_id)
        return modals[-1:] + ([] if home is None else [home])
