"""Everything that the page shows, as JSON."""

import re
from dataclasses import dataclass

from bot.domain.history import RequestStatus
from bot.sandbox import scenario
from bot.sandbox.failure_modes import FAILURE_MODES
from bot.sandbox.json_object import JsonObject
from bot.sandbox.local_turso import ReceivedRequest
from bot.sandbox.messages import PostedMessage
from bot.sandbox.organization import ServiceToken
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.views import View
from bot.sandbox.workspace import BOT_USER, Person

_MAX_ITEMS = 300  # of each list: what a page shows without effort
_SINCE = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True, slots=True)
class PageSession:
    """One open page: who it acts as, and how many messages and modals there were when it was opened.

    As in Slack, ephemeral messages and modals vanish when the page is reloaded.
    """

    person: Person
    messages: int
    modals: int

    @classmethod
    def resume(cls, sandbox: Sandbox, person: Person, since: str) -> "PageSession":
        """Resume the session of an earlier `since`; any other value starts a new one."""
        messages, modals = len(sandbox.slack.messages), len(sandbox.slack.workspace.modals)
        if found := _SINCE.fullmatch(since):
            return cls(person, min(messages, int(found[1])), min(modals, int(found[2])))
        return cls(person, messages, modals)

    @property
    def since(self) -> str:
        """Return the value with which the page resumes the session after a reconnect."""
        return f"{self.messages}-{self.modals}"

    def shows(self, message: PostedMessage) -> bool:
        """Check that a message is not an ephemeral one from before the page was opened."""
        return message.ephemeral_to is None or message.position >= self.messages

    def modal(self, sandbox: Sandbox) -> View | None:
        """Find the topmost open modal."""
        modals = reversed(sandbox.slack.workspace.modals[self.modals :])
        return next((each for each in modals if each.user_id == self.person.user_id and not each.closed), None)


def sandbox_info() -> JsonObject:
    """Describe what never changes: people, channels, commands, groups and failure modes."""
    people = [{"id": user.person.user_id, "name": user.person.name, "about": user.about} for user in scenario.USERS]
    return {
        "people": people,
        "bot": {"id": BOT_USER, "name": "turso-rotate"},
        "channels": [{"id": each, "name": name} for each, name in scenario.CHANNELS.items()],
        "commands": list(scenario.COMMANDS),
        "outcomes": list(RequestStatus),
        "groups": list(scenario.GROUP_DATABASES),
        "organization": scenario.ORGANIZATION,
        "failure_modes": [
            {"id": each, "label": mode.label, "about": mode.about} for each, mode in FAILURE_MODES.items()
        ],
    }


def snapshot(sandbox: Sandbox, session: PageSession) -> JsonObject:
    """Describe everything that the page shows now."""
    slack, person = sandbox.slack, session.person
    seen = [each for each in slack.visible_to(person) if session.shows(each)]
    home = slack.workspace.homes.get(person.user_id)
    modal = session.modal(sandbox)
    return {
        "you": person.user_id,
        "since": session.since,
        "direct_channel": slack.workspace.direct_channel(person.user_id),
        "bot": _bot(sandbox),
        "failure_mode": sandbox.failure_mode,
        "messages": [_message(each) for each in seen[-_MAX_ITEMS:]],
        "home": None if home is None else _view(home),
        "modal": None if modal is None else _view(modal),
        "requests": [_request(number, each) for number, each in enumerate(sandbox.turso.requests)][-_MAX_ITEMS:],
        "services": [_service(each) for each in sandbox.turso.services],
        "trail": sandbox.trail.events[-_MAX_ITEMS:],
    }


def _bot(sandbox: Sandbox) -> JsonObject:
    log_tail = sandbox.bot.log_tail if sandbox.bot_state == "down" else ""
    return {"state": sandbox.bot_state, "pid": sandbox.bot.pid, "log_tail": log_tail}


def _message(message: PostedMessage) -> JsonObject:
    return {
        "ts": message.ts,
        "channel": message.channel,
        "author": message.author,
        "text": message.text,
        "blocks": message.blocks,
        "ephemeral": message.ephemeral_to is not None,
    }


def _view(view: View) -> JsonObject:
    return {"id": view.view_id, "hash": view.hash, "errors": view.errors, **view.content}


def _request(number: int, request: ReceivedRequest) -> JsonObject:
    return {
        "id": number,
        "method": request.method,
        "path": request.path,
        "at": request.at,
        "status": request.status,
        "ended": request.ended,
        "performed": request.performed,
        "rotates": request.line.rotates is not None,
    }


def _service(service: ServiceToken) -> JsonObject:
    return {"name": service.name, "group": service.group, "database": service.database, "works": service.works}
