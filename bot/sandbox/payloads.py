"""The payloads of commands, clicks, submissions and events, with the fields that Slack sends."""

import html
import re
import secrets
import time
from collections.abc import Callable

from bot.sandbox.json_object import JsonObject
from bot.sandbox.messages import PostedMessage
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.views import View
from bot.sandbox.workspace import APP_ID, BOT_ID, BOT_USER, Person, Workspace

_TOKEN = "local-verification-token"  # noqa: S105 - Slack's deprecated one; the signature is what counts
_TRIGGER_LIFETIME = 3.0  # seconds
_ENTERPRISE = "Local Enterprise"


class Triggers:
    """Issue trigger ids; each opens one modal within three seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._issued: dict[str, tuple[float, str]] = {}
        self._exchanged: set[str] = set()

    def issue(self, user_id: str) -> str:
        """Return a new id for an action of this user."""
        trigger_id = f"{secrets.randbelow(10**13):013d}.{secrets.randbelow(10**12):012d}.{secrets.token_hex(16)}"
        self._issued[trigger_id] = (self._clock(), user_id)
        return trigger_id

    def exchange(self, trigger_id: str) -> tuple[str, str | None]:
        """Use up an id; return its user and Slack's error, if any."""
        issued, user_id = self._issued.get(trigger_id, (0.0, ""))
        if not user_id:
            return "", "invalid_trigger_id"
        if trigger_id in self._exchanged:
            return user_id, "exchanged_trigger_id"
        if self._clock() - issued > _TRIGGER_LIFETIME:
            return user_id, "expired_trigger_id"
        self._exchanged.add(trigger_id)
        return user_id, None


class PayloadBuilder:
    """Build payloads on behalf of people."""

    def __init__(self, workspace: Workspace, urls: ResponseUrls, triggers: Triggers) -> None:
        self._workspace = workspace
        self._urls = urls
        self._triggers = triggers
        self.base_url = ""  # of the local Slack, known once it listens

    def command(self, person: Person, typed: str, channel: str, trigger_id: str | None) -> JsonObject:
        """Build the form of a slash command."""
        command, _, text = typed.partition(" ")
        if command in self._workspace.escaped_commands:
            text = self._escaped(text)
        here = self._workspace.has_colleague(person)  # the team is where it is typed, not where the person belongs
        return {
            "token": _TOKEN,
            "team_id": self._workspace.team_id if here else person.team_id,
            "team_domain": self._workspace.domain,
            **_flat(self._workspace.enterprise_of(person)),
            "channel_id": channel,
            "channel_name": self._workspace.channels.get(channel, "directmessage"),
            "user_id": person.user_id,
            "user_name": person.name,
            "command": command,
            "text": text.strip(),
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self._response_url(channel, person),
            "trigger_id": trigger_id or self._triggers.issue(person.user_id),
        }

    def click(self, person: Person, where: PostedMessage | View, action: JsonObject) -> JsonObject:
        """Build the press of a button, or the use of a menu, in a message or a view."""
        origin = self._in_view(where) if isinstance(where, View) else self._in_message(person, where)
        return {
            "type": "block_actions",
            **self._user_fields(person),
            **origin,
            "trigger_id": self._triggers.issue(person.user_id),
            "actions": [{**action, "action_ts": f"{time.time():.6f}"}],
        }

    def submission(self, person: Person, view: View, values: JsonObject) -> JsonObject:
        """Build the submission of a modal; `values` is block id → action id → input."""
        content = view.as_json(self._workspace.team_id, APP_ID)
        return {
            "type": "view_submission",
            **self._user_fields(person),
            "trigger_id": self._triggers.issue(person.user_id),
            "view": {**content, "state": {"values": values}},
            "response_urls": [],
        }

    def home_opened(self, person: Person) -> JsonObject:
        """Build the event for a person who opens the app's Home tab."""
        channel, now = self._workspace.direct_channel(person.user_id), time.time()
        event = {"type": "app_home_opened", "user": person.user_id, "channel": channel, "tab": "home"}
        home = self._workspace.homes.get(person.user_id)
        view = {} if home is None else {"view": home.as_json(self._workspace.team_id, APP_ID)}
        installed = {"team_id": self._workspace.team_id, "user_id": BOT_USER, "is_bot": True}
        ours, theirs = self._workspace.enterprise_id, self._workspace.enterprise_of(person)
        return {
            "token": _TOKEN,
            "team_id": person.team_id,
            **({} if theirs is None else {"enterprise_id": theirs}),
            "context_team_id": self._workspace.team_id,
            "context_enterprise_id": ours,
            "api_app_id": APP_ID,
            "event": {**event, **view, "event_ts": f"{now:.6f}"},
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(now),
            "authorizations": [{"enterprise_id": ours, **installed, "is_enterprise_install": False}],
            "is_ext_shared_channel": False,
        }

    def _user_fields(self, person: Person) -> JsonObject:
        user = {"id": person.user_id, "username": person.name, "name": person.name, "team_id": person.team_id}
        ours, theirs = self._workspace.enterprise_id, self._workspace.enterprise_of(person)
        team = {"id": self._workspace.team_id, "domain": self._workspace.domain, **_flat(ours)}
        enterprise = None if theirs is None else {"id": theirs, "name": _ENTERPRISE}
        app = {"api_app_id": APP_ID, "token": _TOKEN, "enterprise": enterprise, "is_enterprise_install": False}
        return {"user": user, "team": team, **app}

    def _escaped(self, text: str) -> str:
        """Apply `should_escape`: mentions and entities arrive as they do in messages."""
        ids = {name: user_id for user_id, name in self._workspace.names.items()}

        def mention(found: re.Match[str]) -> str:
            return f"<@{ids[found[1]]}|{found[1]}>" if found[1] in ids else found[0]

        return re.sub(r"@([\w.-]+)", mention, html.escape(text, quote=False))

    def _in_message(self, person: Person, message: PostedMessage) -> JsonObject:
        ephemeral = message.ephemeral_to is not None
        ids = {"message_ts": message.ts, "channel_id": message.channel, "is_ephemeral": ephemeral}
        name = self._workspace.channels.get(message.channel, "directmessage")
        return {
            "container": {"type": "message", **ids},
            "channel": {"id": message.channel, "name": name},
            **({} if ephemeral else {"message": message_json(message)}),
            "state": {"values": {}},
            "response_url": self._response_url(message.channel, person, message),
        }

    def _in_view(self, view: View) -> JsonObject:
        content = view.as_json(self._workspace.team_id, APP_ID)
        return {"container": {"type": "view", "view_id": view.view_id}, "view": content}

    def _response_url(self, channel: str, person: Person, message: PostedMessage | None = None) -> str:
        return f"{self.base_url}/response/{self._urls.issue(channel, person.user_id, message)}"


def _flat(enterprise_id: str | None) -> JsonObject:
    """Describe an enterprise where Slack gives it no object of its own; payloads outside Enterprise Grid omit it."""
    return {} if enterprise_id is None else {"enterprise_id": enterprise_id, "enterprise_name": _ENTERPRISE}


def message_json(message: PostedMessage) -> JsonObject:
    """Return a message as Slack shows it to apps."""
    author = {"user": BOT_USER, "bot_id": BOT_ID, "app_id": APP_ID}
    return {"type": "message", **author, "ts": message.ts, "text": message.text, "blocks": message.blocks}


def action_on(where: PostedMessage | View, action_id: str, value: str | None) -> JsonObject:
    """Describe the use of an element, even of one on a stale card or of one that never existed.

    `value` forges a button's value, and chooses the option of a menu (otherwise the first).
    """
    unknown: JsonObject = {
        "type": "button",
        "block_id": "b0",
        "value": "",
        "text": {"type": "plain_text", "text": action_id},
    }
    element = where.element(action_id) or unknown
    action: JsonObject = {key: element[key] for key in ("block_id", "type", "text", "value", "style") if key in element}
    action["action_id"] = action_id
    options = element.get("options")
    if options is not None:
        chosen = [option for option in options if value in {None, option["value"]}]
        return action | {"selected_option": chosen[0] if chosen else {"value": value}}
    return action if value is None else action | {"value": value}
