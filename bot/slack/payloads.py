"""Read who, where and what out of Slack's payloads; whatever is missing or odd becomes somebody nobody knows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bot.models import Actor, ChannelId, Place, RotationId, TeamId, UserId
from bot.slack.commands import storable

Payload = Mapping[str, Any]

_SLACK_ID = re.compile(r"[A-Z0-9]{2,40}")
NOBODY = "unknown"


@dataclass(frozen=True, slots=True, repr=False)
class Typed:
    """A command as it was typed; has no `repr`, as `response_url` is a capability."""

    actor: Actor
    place: Place
    text: str
    response_url: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Pressed:
    """A press of a button that carries a rotation's id; has no `repr` for the same reason."""

    actor: Actor
    place: Place
    rotation_id: RotationId
    response_url: str | None


def typed(body: Payload) -> Typed:
    """Read a slash command."""
    actor = Actor(TeamId(_id(body.get("team_id"))), UserId(_id(body.get("user_id"))))
    place = Place(ChannelId(_id(body.get("channel_id"))), _delivery(body))
    return Typed(actor, place, _text(body.get("text")), _url(body))


def pressed(body: Payload) -> Pressed:
    """Read a press; the value is a claim, to be looked up and checked."""
    actions = body.get("actions")
    action = actions[0] if isinstance(actions, list) and actions else None
    place = Place(ChannelId(_id(_part(body, "channel").get("id"))), _delivery(body))
    return Pressed(_presser(body), place, RotationId(storable(_text(_mapping(action).get("value")))), _url(body))


def _presser(body: Payload) -> Actor:
    """Name the presser; in a shared channel their own team may differ from the one the press came from.

    A press that comes from no team is nobody's, whatever it says of its user.
    """
    user = _part(body, "user")
    team = _id(_part(body, "team").get("id"))
    own = team if team == NOBODY else _id(user.get("team_id", team))
    return Actor(TeamId(own), UserId(_id(user.get("id"))))


def _delivery(body: Payload) -> str | None:
    trigger = body.get("trigger_id")
    return sha256(trigger.encode(errors="replace")).hexdigest() if isinstance(trigger, str) and trigger else None


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
