"""Read Slack's payloads; a missing or malformed id becomes `unknown`, which no grant matches."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NewType
from urllib.parse import urlsplit

import structlog

from bot.domain.models import Actor, ChannelId, SlackContext, TeamId, UserId
from bot.domain.names import SLACK_ID, TEAM_ID
from bot.domain.secrets import mask
from bot.domain.text import storable

Payload = Mapping[str, Any]
ResponseUrl = NewType("ResponseUrl", str)
"""A URL of Slack's, checked by `Installation`: nothing else may be posted to."""

UNKNOWN_ID = "unknown"
HOME = ChannelId("home")
"""Stands for a channel where something was done on the Home tab."""
# Whole addresses instead of a parser, as parsers disagree on backslashes, user info and what looks like a dot.
_URL = re.compile(r"(https?://[^/]+)/[!-~]*", re.IGNORECASE | re.ASCII)
_SLACK = re.compile(r"https://([a-z0-9-]+\.)+slack(-gov)?\.com(:443)?", re.ASCII)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the app is installed, which decides whose team is the bot's and which URLs are Slack's."""

    team_id: TeamId
    enterprise_id: str | None
    """The organization of the workspace in Enterprise Grid."""
    api_url: str

    def actor(self, team: object, user: object, enterprise: object) -> Actor:
        """Return who acted, with the bot's own team if theirs belongs to its enterprise.

        In Enterprise Grid, Slack may name the enterprise, or another of its workspaces, as a colleague's team. As
        `enterprise` may be that of the installation instead of the person's, all rights come from grants to a user.
        """
        team_id = TeamId(_id(team))
        if self.enterprise_id is not None and (
            team_id == self.enterprise_id or (enterprise == self.enterprise_id and TEAM_ID.fullmatch(team_id))
        ):
            team_id = self.team_id
        return Actor(team_id, UserId(_id(user)))

    def response_url(self, body: Payload) -> ResponseUrl | None:
        """Return the URL for replies, unless it leads elsewhere than to Slack or the host of `SLACK_API_URL`."""
        url = body.get("response_url")
        if not url:
            return None
        found = _URL.fullmatch(url) if isinstance(url, str) and url.isascii() else None
        host = found[1].lower() if found else ""
        api = urlsplit(self.api_url)
        if host == f"{api.scheme}://{api.netloc}".lower() or _SLACK.fullmatch(host):
            return ResponseUrl(str(url))
        log.warning("response_url ignored", why="it does not lead to Slack over https")
        return None


@dataclass(frozen=True, slots=True, repr=False)
class SlashCommand:
    """A command. It has no `repr`, because `response_url` is a capability."""

    actor: Actor
    context: SlackContext
    text: str
    """Without what looks like a token; nothing else ever sees that."""
    response_url: ResponseUrl | None
    masked: bool = False
    """Whether something was left out of the text."""


@dataclass(frozen=True, slots=True, repr=False)
class Interaction:
    """The use of a button, a menu or a tab. It has no `repr`: `trigger_id` is a capability too."""

    actor: Actor
    context: SlackContext
    action_id: str = ""
    chosen: str = ""
    """A button's value, or the choice in a menu; may be empty."""
    metadata: str = ""
    """The private metadata of the Home tab around it; empty in messages."""
    trigger_id: str = ""
    response_url: ResponseUrl | None = None


def read_command(body: Payload, installation: Installation) -> SlashCommand:
    """Read a slash command."""
    actor = installation.actor(body.get("team_id"), body.get("user_id"), body.get("enterprise_id"))
    context = SlackContext(ChannelId(_id(body.get("channel_id"))), _delivery(body))
    typed = _text(body.get("text"))
    text = mask(typed)
    return SlashCommand(actor, context, text, installation.response_url(body), masked=text != typed)


def read_interaction(body: Payload, installation: Installation) -> Interaction:
    """Read the use of a button or menu; nothing in it is trusted."""
    actions = body.get("actions")
    action = _mapping(actions[0] if isinstance(actions, list) and actions else None)
    choice = _text(_part(action, "selected_option").get("value")) or _text(action.get("selected_user"))
    channel_id = HOME if _part(body, "view") else ChannelId(_id(_part(body, "channel").get("id")))
    return Interaction(
        actor=_presser(body, installation),
        context=SlackContext(channel_id, _delivery(body)),
        action_id=_text(action.get("action_id")),
        chosen=storable(_text(action.get("value")) or choice),
        metadata=_text(_part(body, "view").get("private_metadata")),
        trigger_id=_text(body.get("trigger_id")),
        response_url=installation.response_url(body),
    )


def read_home_opened(body: Payload, installation: Installation) -> Interaction | None:
    """Read the event that somebody opened the Home tab; `None` for the Messages tab.

    The enterprise next to `team_id` is that of the team; those in `authorizations` and `context_…` are always the
    installation's.
    """
    event = _part(body, "event")
    if event.get("tab") != "home":
        return None
    return Interaction(
        actor=installation.actor(body.get("team_id"), event.get("user"), body.get("enterprise_id")),
        context=SlackContext(HOME, _hashed(body.get("event_id"))),  # Slack identifies the delivery of an event by this
        metadata=_text(_part(event, "view").get("private_metadata")),
    )


def _presser(body: Payload, installation: Installation) -> Actor:
    """Return who pressed. In a shared channel their own team may differ from the one that the press came from.

    A press without a team matches nobody, even if it names a user.
    """
    user = _part(body, "user")
    team = _id(_part(body, "team").get("id"))
    own = team if team == UNKNOWN_ID else user.get("team_id", team)
    return installation.actor(own, user.get("id"), _part(body, "enterprise").get("id"))


def _delivery(body: Payload) -> str | None:
    return _hashed(body.get("trigger_id"))


def _hashed(value: object) -> str | None:
    return sha256(value.encode(errors="replace")).hexdigest() if isinstance(value, str) and value else None


def _id(value: object) -> str:
    return value if isinstance(value, str) and SLACK_ID.fullmatch(value) else UNKNOWN_ID


def _part(body: Payload, name: str) -> Payload:
    return _mapping(body.get(name))


def _mapping(value: object) -> Payload:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
