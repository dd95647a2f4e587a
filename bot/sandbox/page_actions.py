"""What a person does on the page: type, press, submit, make trouble."""

import html
from collections.abc import Awaitable, Callable
from typing import Any

from bot.sandbox import scenario
from bot.sandbox.messages import Block, Content, Message, actionable
from bot.sandbox.sandbox import Stage
from bot.sandbox.views import View
from bot.sandbox.workspace import Channel, Person

Json = dict[str, Any]
Act = Callable[[Person, Json], Awaitable[None]]
_CHOICES = frozenset(
    {
        "value",
        "selected_option",
        "selected_options",
        "selected_user",
        "selected_channel",
        "selected_conversation",
        "selected_date",
        "selected_time",
        "selected_date_time",
    }
)
_LONGEST = 12_000  # characters that somebody can type at once, as in Slack


class NotPossibleError(Exception):
    """What the page asked for is not there (any more), or makes no sense."""


class Actions:
    """Each does one thing, as one person."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.table: dict[str, Act] = {
            "type": self._types,
            "use": self._uses,
            "submit": self._submits,
            "close": self._closes,
            "home": self._opens_home,
            "trouble": self._makes_trouble,
            "restart": self._restarts,
            "redeploy": self._redeploys,
        }

    async def _types(self, person: Person, said: Json) -> None:
        text, channel = _text(said, "text").strip()[:_LONGEST], _text(said, "channel")
        workspace = self._stage.slack.workspace
        if not text or not workspace.knows(channel) or person.user_id not in self._audience(channel):
            raise NotPossibleError
        if not text.startswith("/"):
            workspace.post(
                Channel(channel), Content(html.escape(text, quote=False)), via="typed", author=person.user_id
            )
        elif text.split()[0] in scenario.COMMANDS:
            await self._stage.slack.types(person, text, channel=channel)
        else:
            # In Slack's own words, and like Slack without asking any app.
            words = f"`{html.escape(text.split()[0], quote=False)}` is not a valid command."
            workspace.post(Channel(channel, person.user_id), Content(words), via="slackbot", author="slackbot")

    async def _uses(self, person: Person, said: Json) -> None:
        where = self._finds(person, said)
        wanted = (_text(said, "block_id"), _text(said, "action_id"))
        for element in actionable(where.blocks):
            if (element["block_id"], element.get("action_id")) == wanted:
                action = _described(element, said.get("chosen"))
                await self._stage.slack.uses(person, where, action, _values(said))
                return
        raise NotPossibleError

    async def _submits(self, person: Person, said: Json) -> None:
        view = self._modal(person, said)
        delivery = await self._stage.slack.submits(person, view, _values(said))
        if delivery.error is not None:
            view.errors = {"": "We had some trouble connecting. Try again?"}
            self._stage.touch()

    async def _closes(self, person: Person, said: Json) -> None:
        self._modal(person, said).closed = True
        self._stage.touch()

    async def _opens_home(self, person: Person, _: Json) -> None:
        await self._stage.slack.opens_home(person)

    async def _makes_trouble(self, _: Person, said: Json) -> None:
        try:
            self._stage.sets_trouble(_text(said, "trouble"))
        except KeyError:
            raise NotPossibleError from None

    async def _restarts(self, *_: object) -> None:
        await self._stage.restart()

    async def _redeploys(self, _: Person, said: Json) -> None:
        self._stage.redeploys(_text(said, "service"))

    def _audience(self, channel: str) -> frozenset[str]:
        workspace = self._stage.slack.workspace
        return workspace.conversations.get(channel, frozenset(workspace.people))

    def _finds(self, person: Person, said: Json) -> Message | View:
        if said.get("view") is not None:
            home = self._stage.slack.workspace.homes.get(person.user_id)
            return home if home is not None and home.view_id == said["view"] else self._modal(person, said)
        wanted = (_text(said, "channel"), _text(said, "ts"))
        for message in self._stage.slack.visible_to(person):
            if (message.channel, message.ts) == wanted:
                return message
        raise NotPossibleError

    def _modal(self, person: Person, said: Json) -> View:
        for view in self._stage.slack.workspace.modals:
            if view.view_id == said.get("view") and view.user_id == person.user_id and not view.closed:
                return view
        raise NotPossibleError


def _described(element: Block, chosen: object) -> Block:
    kept = {key: element[key] for key in ("type", "block_id", "action_id", "text", "value", "style") if key in element}
    choices = chosen if isinstance(chosen, dict) else {}
    return {**kept, **{key: value for key, value in choices.items() if key in _CHOICES}}


def _text(said: Json, key: str) -> str:
    value = said.get(key)
    if not isinstance(value, str):
        raise NotPossibleError
    return value


def _values(said: Json) -> Json:
    values = said.get("values")
    return values if isinstance(values, dict) else {}
