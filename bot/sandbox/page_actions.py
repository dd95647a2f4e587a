"""What a person can do on the page: type, press, submit, choose a failure, restart the bot."""

import html
from collections.abc import Awaitable, Callable

from bot.sandbox import scenario
from bot.sandbox.json_object import JsonObject
from bot.sandbox.messages import Content, PostedMessage, interactive_elements
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.views import View
from bot.sandbox.workspace import Audience, Person

PageAction = Callable[[Person, JsonObject], Awaitable[None]]
_CHOICES = frozenset({"value", "selected_option", "selected_user"})
_MAX_TYPED = 12_000  # characters that a person can type at once, as in Slack


class ActionNotPossibleError(Exception):
    """The target of the action does not exist (any more), or the arguments make no sense."""


class PageActions:
    """The actions by name; each takes the person who acts and the arguments of the page."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._workspace = sandbox.slack.workspace
        self.table: dict[str, PageAction] = {
            "type": self._type,
            "use": self._use,
            "submit": self._submit,
            "close": self._close,
            "open_home": self._open_home,
            "set_failure_mode": self._set_failure_mode,
            "restart": self._restart,
            "redeploy": self._redeploy,
        }

    async def _type(self, person: Person, arguments: JsonObject) -> None:
        text, channel = _text(arguments, "text").strip()[:_MAX_TYPED], _text(arguments, "channel")
        workspace = self._workspace
        if not text or not workspace.has_channel(channel) or not workspace.has_member(channel, person.user_id):
            raise ActionNotPossibleError
        if not text.startswith("/"):
            content = Content(html.escape(text, quote=False))
            workspace.post(Audience(channel), content, via="typed", author=person.user_id)
        elif text.split()[0] in scenario.COMMANDS:
            await self._sandbox.slack.types(person, text, channel=channel)
        else:
            # Slack's own words; like Slack, without asking any app.
            notice = f"`{html.escape(text.split()[0], quote=False)}` is not a valid command."
            workspace.post(Audience(channel, person.user_id), Content(notice), via="slackbot", author="slackbot")

    async def _use(self, person: Person, arguments: JsonObject) -> None:
        where = self._find(person, arguments)
        ids = (_text(arguments, "block_id"), _text(arguments, "action_id"))
        for element in interactive_elements(where.blocks):
            if (element["block_id"], element.get("action_id")) == ids:
                action = _action(element, arguments.get("chosen"))
                await self._sandbox.slack.uses(person, where, action, _values(arguments))
                return
        raise ActionNotPossibleError

    async def _submit(self, person: Person, arguments: JsonObject) -> None:
        view = self._modal(person, arguments)
        delivery = await self._sandbox.slack.submits(person, view, _values(arguments))
        if delivery.error is not None:
            view.errors = {"": "We had some trouble connecting. Try again?"}  # Slack's own words
            self._sandbox.touch()

    async def _close(self, person: Person, arguments: JsonObject) -> None:
        self._modal(person, arguments).closed = True
        self._sandbox.touch()

    async def _open_home(self, person: Person, _: JsonObject) -> None:
        await self._sandbox.slack.opens_home(person)

    async def _set_failure_mode(self, _: Person, arguments: JsonObject) -> None:
        try:
            self._sandbox.set_failure_mode(_text(arguments, "mode"))
        except KeyError:
            raise ActionNotPossibleError from None

    async def _restart(self, *_: object) -> None:
        await self._sandbox.restart()

    async def _redeploy(self, _: Person, arguments: JsonObject) -> None:
        self._sandbox.redeploy(_text(arguments, "service"))

    def _find(self, person: Person, arguments: JsonObject) -> PostedMessage | View:
        if arguments.get("view") is not None:
            home = self._workspace.homes.get(person.user_id)
            return home if home is not None and home.view_id == arguments["view"] else self._modal(person, arguments)
        ids = (_text(arguments, "channel"), _text(arguments, "ts"))
        for message in self._sandbox.slack.visible_to(person):
            if (message.channel, message.ts) == ids:
                return message
        raise ActionNotPossibleError

    def _modal(self, person: Person, arguments: JsonObject) -> View:
        for view in self._workspace.modals:
            if view.view_id == arguments.get("view") and view.user_id == person.user_id and not view.closed:
                return view
        raise ActionNotPossibleError


def _action(element: JsonObject, chosen: object) -> JsonObject:
    """Describe the use of an element as Slack does, with the choice that the page sent."""
    kept = {key: element[key] for key in ("type", "block_id", "action_id", "text", "value", "style") if key in element}
    choices = chosen if isinstance(chosen, dict) else {}
    return {**kept, **{key: value for key, value in choices.items() if key in _CHOICES}}


def _text(arguments: JsonObject, key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str):
        raise ActionNotPossibleError
    return value


def _values(arguments: JsonObject) -> JsonObject:
    values = arguments.get("values")
    return values if isinstance(values, dict) else {}
