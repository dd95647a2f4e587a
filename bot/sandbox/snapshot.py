"""What one viewer's page shows, as JSON."""

import re
from dataclasses import dataclass
from typing import Any

from bot.domain.history import RequestStatus
from bot.sandbox import scenario
from bot.sandbox.bad_days import BAD_DAYS
from bot.sandbox.local_turso import Request
from bot.sandbox.messages import Message
from bot.sandbox.organization import ServiceToken
from bot.sandbox.sandbox import Stage
from bot.sandbox.views import View
from bot.sandbox.workspace import BOT_USER, Person

Json = dict[str, Any]
_MOST = 300  # of each list: what a page shows without effort
_SINCE = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody's screen: who they act as, and what had happened already when the page was opened.

    As in Slack, ephemeral messages and modals do not outlive the page that they came to.
    """

    person: Person
    messages: int
    modals: int

    @classmethod
    def of(cls, stage: Stage, person: Person, since: str) -> "Viewer":
        """Read `since` as the page got it; anything else means a page that opens now."""
        messages, modals = len(stage.slack.messages), len(stage.slack.workspace.modals)
        if found := _SINCE.fullmatch(since):
            return cls(person, min(messages, int(found[1])), min(modals, int(found[2])))
        return cls(person, messages, modals)

    @property
    def since(self) -> str:
        """Return what the page gives back when it reconnects."""
        return f"{self.messages}-{self.modals}"

    def sees(self, message: Message) -> bool:
        """Say whether an ephemeral message came after the page was opened; others are always there."""
        return message.ephemeral_to is None or message.position >= self.messages

    def looks_at(self, stage: Stage) -> View | None:
        """Find the topmost modal."""
        modals = stage.slack.workspace.modals[self.modals :]
        return next(
            (each for each in reversed(modals) if each.user_id == self.person.user_id and not each.closed), None
        )


def stage_set() -> Json:
    """Describe what never changes: people, channels, troubles."""
    people = [
        {"id": role.person.user_id, "name": role.person.name, "about": role.about, "guest": role.person.is_guest}
        for role in scenario.ROLES
    ]
    return {
        "people": people,
        "bot": {"id": BOT_USER, "name": "turso-rotate"},
        "channels": [{"id": each, "name": name} for each, name in scenario.CHANNELS.items()],
        "commands": list(scenario.COMMANDS),
        "outcomes": list(RequestStatus),
        "groups": list(scenario.GROUPS),
        "organization": scenario.ORGANIZATION,
        "troubles": [{"id": each, "label": day.label, "about": day.about} for each, day in BAD_DAYS.items()],
    }


def snapshot(stage: Stage, viewer: Viewer) -> Json:
    """Describe everything that this screen shows now."""
    slack, person = stage.slack, viewer.person
    direct = slack.workspace.direct([person.user_id])
    seen = [each for each in slack.visible_to(person) if viewer.sees(each)]
    home = slack.workspace.homes.get(person.user_id)
    modal = viewer.looks_at(stage)
    return {
        "you": person.user_id,
        "since": viewer.since,
        "direct": direct,
        "bot": {"state": stage.bot_state, "pid": stage.bot.pid, "tail": stage.bot.tail if _is_down(stage) else ""},
        "trouble": stage.trouble,
        "messages": [_message(each) for each in seen[-_MOST:]],
        "home": None if home is None else _view(home),
        "modal": None if modal is None else _view(modal),
        "requests": [_request(number, each) for number, each in enumerate(stage.turso.requests)][-_MOST:],
        "services": [_service(each) for each in stage.turso.services],
        "trail": stage.trail.events[-_MOST:],
    }


def _is_down(stage: Stage) -> bool:
    return stage.bot_state == "down"


def _message(message: Message) -> Json:
    return {
        "ts": message.ts,
        "channel": message.channel,
        "author": message.author,
        "text": message.text,
        "blocks": message.blocks,
        "ephemeral": message.ephemeral_to is not None,
    }


def _view(view: View) -> Json:
    return {"id": view.view_id, "hash": view.hash, "errors": view.errors, **view.content}


def _request(number: int, request: Request) -> Json:
    return {
        "id": number,
        "method": request.method,
        "path": request.path,
        "at": request.at,
        "status": request.status,
        "ended": request.ended,
        "performed": request.performed,
        "rotates": request.route.rotates is not None,
    }


def _service(service: ServiceToken) -> Json:
    return {"name": service.name, "group": service.group, "database": service.database, "works": service.works}
