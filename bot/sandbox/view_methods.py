"""Web API methods that show Home tabs and modals, and what an acknowledgement does to a modal."""

import json
import secrets
from typing import Any

from bot.sandbox.blocks import problems_of_view
from bot.sandbox.methods import Answer, Arguments, Method, Methods, SaysNoError, invalid_blocks
from bot.sandbox.payloads import Triggers
from bot.sandbox.views import View
from bot.sandbox.workspace import APP_ID, Workspace


class ViewMethods:
    """`views.*`, against one workspace."""

    def __init__(self, workspace: Workspace, triggers: Triggers) -> None:
        self._workspace = workspace
        self._triggers = triggers

    def table(self) -> Methods:
        """Name the methods."""
        return {
            "views.publish": Method(self.publish),
            "views.open": Method(self.open),
            "views.push": Method(self.push),
            "views.update": Method(self.update),
        }

    def publish(self, arguments: Arguments) -> Answer:
        """Show a Home tab."""
        user_id, content = str(arguments.get("user_id", "")), _content(arguments)
        if user_id not in self._workspace.people:
            raise SaysNoError("user_not_found")
        home = self._workspace.homes.get(user_id)
        if home is None:
            home = self._workspace.homes[user_id] = View(_view_id(), user_id, content)
        else:
            _check_hash(home, arguments)
            home.becomes(content)
        return self._shown(home)

    def open(self, arguments: Arguments) -> Answer:
        """Open a modal for the person of the trigger."""
        return self._opens(_content(arguments), self._user(arguments), None)

    def push(self, arguments: Arguments) -> Answer:
        """Open a modal on top of the one that the person looks at."""
        content, user_id = _content(arguments), self._user(arguments)
        below = [view for view in self._workspace.modals if view.user_id == user_id and not view.closed]
        if not below:
            raise SaysNoError("not_found")
        return self._opens(content, user_id, below[-1])

    def update(self, arguments: Arguments) -> Answer:
        """Show something else in an open modal or a Home tab."""
        content, view = _content(arguments), self._finds(arguments)
        _check_hash(view, arguments)
        view.becomes(content)
        return self._shown(view)

    def answered(self, view: View, answer: object) -> None:
        """Do what the acknowledgement of a submission says; without a word the modal closes."""
        said: dict[str, Any] = answer if isinstance(answer, dict) else {}
        match said.get("response_action"):
            case "errors":
                view.errors = said.get("errors", {})
            case "update":
                view.becomes(_content(said))
            case "push":
                self._opens(_content(said), view.user_id, view)
            case "clear":
                for modal in self._workspace.modals:
                    modal.closed = modal.closed or modal.user_id == view.user_id
            case _:
                view.closed = True
        self._workspace.feed.publish("view", view)

    def _opens(self, content: dict[str, Any], user_id: str, parent: View | None) -> Answer:
        view = View(_view_id(), user_id, content, parent)
        self._workspace.modals.append(view)
        return self._shown(view)

    def _shown(self, view: View) -> Answer:
        self._workspace.feed.publish("view", view)
        return {"ok": True, "view": view.as_json(self._workspace.team_id, APP_ID)}

    def _user(self, arguments: Arguments) -> str:
        user_id, error = self._triggers.exchange(str(arguments.get("trigger_id", "")))
        if error is not None:
            raise SaysNoError(error)
        return user_id

    def _finds(self, arguments: Arguments) -> View:
        for view in (*self._workspace.modals, *self._workspace.homes.values()):
            known = {view.view_id, view.content.get("external_id") or view.view_id}
            if not view.closed and {arguments.get("view_id"), arguments.get("external_id")} & known:
                return view
        raise SaysNoError("not_found")


def _content(arguments: Arguments) -> dict[str, Any]:
    view = arguments.get("view")
    try:
        content = json.loads(view) if isinstance(view, str) else view
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise SaysNoError("invalid_arguments")
    problems = problems_of_view(content)
    if problems:
        raise invalid_blocks(problems, "invalid_arguments")  # what views say; messages say `invalid_blocks`
    return content


def _check_hash(view: View, arguments: Arguments) -> None:
    if arguments.get("hash") not in {None, view.hash}:
        raise SaysNoError("hash_conflict")


def _view_id() -> str:
    return f"V0{secrets.token_hex(4).upper()}"
