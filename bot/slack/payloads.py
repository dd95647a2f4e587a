"""Read who, where and what out of Slack's payloads; whatever is missing or odd becomes somebody nobody knows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bot.domain.models import Actor, ChannelId, RotationId, SlackContext, TeamId, UserId
from bot.domain.names import storable

Payload = Mapping[str, Any]

_SLACK_ID = re.compile(r"[A-Z0-9]{2,40}")
NOBODY = "unknown"
HOME = ChannelId("home")
"""Where something was done that was done on the Home tab, which is in no channel."""


@dataclass(frozen=True, slots=True, repr=False)
class SlashCommand:
    """A command as it was typed; has no `repr`, as `response_url` is a capability."""

    actor: Actor
    place: SlackContext
    text: str
    response_url: str | None


@dataclass(frozen=True, slots=True, repr=False)
class ButtonPress:
    """A press of a button that carries a rotation's id; has no `repr` for the same reason."""

    actor: Actor
    place: SlackContext
    rotation_id: RotationId
    response_url: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Interaction:
    """The use of a button or a menu of history; has no `repr`, as `trigger_id` is a capability too."""

    actor: Actor
    place: SlackContext
    action_id: str
    chosen: str
    """A button's value, or what was chosen in a menu; empty where nothing was."""
    metadata: str
    """What the Home tab that it stands on remembers; empty in messages."""
    trigger_id: str
    response_url: str | None


@dataclass(frozen=True, slots=True)
class HomeOpened:
    """Somebody looks at the Home tab, or with `home` false at the messages beside it."""

    actor: Actor
    place: SlackContext
    metadata: str
    home: bool


def typed(body: Payload) -> SlashCommand:
    """Read a slash command."""
    actor = Actor(TeamId(_id(body.get("team_id"))), UserId(_id(body.get("user_id"))))
    place = SlackContext(ChannelId(_id(body.get("channel_id"))), _delivery(body))
    return SlashCommand(actor, place, _text(body.get("text")), _url(body))


def pressed(body: Payload) -> ButtonPress:
    """Read a press; the value is a claim, to be looked up and checked."""
    actions = body.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    place = SlackContext(ChannelId(_id(_part(body, "channel").get("id"))), _delivery(body))
    return ButtonPress(_presser(body), place, RotationId(storable(_text(_mapping(action).get("value")))), _url(body))


def used(body: Payload) -> Interaction:
    """Read the use of an element; all of it is a claim, to be checked."""
    actions = body.get("actions")
    action = _mapping(actions[0] if isinstance(actions, list) and actions else None)
    options = _text(_part(action, "selected_option").get("value")) or _text(action.get("selected_user"))
    in_view = bool(_part(body, "view"))
    return Interaction(
        actor=_presser(body),
        place=SlackContext(HOME if in_view else ChannelId(_id(_part(body, "channel").get("id"))), _delivery(body)),
        action_id=_text(action.get("action_id")),
        chosen=storable(_text(action.get("value")) or options),
        metadata=_text(_part(body, "view").get("private_metadata")),
        trigger_id=_text(body.get("trigger_id")),
        response_url=_url(body),
    )


def visit(body: Payload) -> HomeOpened:
    """Read the event that somebody looks at the app; Slack counts its deliveries by `event_id`."""
    event = _part(body, "event")
    return HomeOpened(
        actor=Actor(TeamId(_id(body.get("team_id"))), UserId(_id(event.get("user")))),
        place=SlackContext(HOME, _hashed(body.get("event_id"))),
        metadata=_text(_part(event, "view").get("private_metadata")),
        home=event.get("tab") == "home",
    )


def _presser(body: Payload) -> Actor:
    """Name the presser; in a shared channel their own team may differ from the one the press came from.

    A press that comes from no team is nobody's, whatever it says of its user.
    """
    user = _part(body, "user")
    team = _id(_part(body, "team").get("id"))
    own = team if team == NOBODY else _id(user.get("team_id", team))
    return Actor(TeamId(own), UserId(_id(user.get("id"))))


def _delivery(body: Payload) -> str | None:
    return _hashed(body.get("trigger_id"))


def _hashed(value: object) -> str | None:
    return sha256(value.encode(errors="replace")).hexdigest() if isinstance(value, str) and value else None


def _url(body: Payload) -> str | None:
    url = body.get("response_url")
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None


def _id(value: object) -> str:
    return value if isinstance(value, str) and _SLACK_ID.fullmatch(value) else NOBODY


def _part(body: Payload, name: str) -> Payload:
    return _mapping(body.get(name))


def _mapping(value: object) -> Payload:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
