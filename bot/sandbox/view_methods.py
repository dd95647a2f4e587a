"""The Web API methods that show Home tabs and modals, and the effect of a submission on a modal."""

import json
import secrets

from bot.sandbox.block_kit import view_problems
from bot.sandbox.json_object import JsonObject
from bot.sandbox.methods import Method, MethodError, Methods, invalid_blocks
from bot.sandbox.payloads import Triggers
from bot.sandbox.views import View
from bot.sandbox.workspace import APP_ID, Workspace


class ViewMethods:
    """`views.*`, for one workspace."""

    def __init__(self, workspace: Workspace, triggers: Triggers) -> None:
        self._workspace = workspace
        self._triggers = triggers

    def table(self) -> Methods:
        """Return the methods by name."""
        return {
            "views.publish": Method(self.publish),
            "views.open": Method(self.open),
            "views.update": Method(self.update),
        }

    def publish(self, arguments: JsonObject) -> JsonObject:
        """Show a Home tab."""
        user_id, content = str(arguments.get("user_id", "")), _content(arguments)
        if user_id not in self._workspace.people:
            raise MethodError("user_not_found")
        home = self._workspace.homes.get(user_id)
        if home is None:
            home = self._workspace.homes[user_id] = View(_view_id(), user_id, content)
        else:
            _check_hash(home, arguments)
            home.replace(content)
        return self._published(home)

    def open(self, arguments: JsonObject) -> JsonObject:
        """Open a modal for the trigger's person."""
        content = _content(arguments)
        user_id, error = self._triggers.exchange(str(arguments.get("trigger_id", "")))
        if error is not None:
            raise MethodError(error)
        view = View(_view_id(), user_id, content)
        self._workspace.modals.append(view)
        return self._published(view)

    def update(self, arguments: JsonObject) -> JsonObject:
        """Replace the content of an open modal or a Home tab."""
        content, view = _content(arguments), self._find(arguments)
        _check_hash(view, arguments)
        view.replace(content)
        return self._published(view)

    def apply_submission(self, view: View, ack: object) -> None:
        """Apply what the acknowledgement of a submission says; without a response action the modal closes."""
        action: JsonObject = ack if isinstance(ack, dict) else {}
        match action.get("response_action"):
            case "errors":
                view.errors = action.get("errors", {})
            case "update":
                view.replace(_content(action))
            case _:
                view.closed = True
        self._workspace.changes.publish("view", view)

    def _published(self, view: View) -> JsonObject:
        self._workspace.changes.publish("view", view)
        return {"ok": True, "view": view.as_json(self._workspace.team_id, APP_ID)}

    def _find(self, arguments: JsonObject) -> View:
        for view in (*self._workspace.modals, *self._workspace.homes.values()):
            ids = {view.view_id, view.content.get("external_id") or view.view_id}
            if not view.closed and {arguments.get("view_id"), arguments.get("external_id")} & ids:
                return view
        raise MethodError("not_found")


def _content(arguments: JsonObject) -> JsonObject:
    view = arguments.get("view")
    try:
        content = json.loads(view) if isinstance(view, str) else view
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise MethodError("invalid_arguments")
    problems = view_problems(content)
    if problems:
        raise invalid_blocks(problems, "invalid_arguments")  # for messages it is `invalid_blocks`
    return content


def _check_hash(view: View, arguments: JsonObject) -> None:
    if arguments.get("hash") not in {None, view.hash}:
        raise MethodError("hash_conflict")


def _view_id() -> str:
    return f"V0{secrets.token_hex(4).upper()}"
