"""The `response_url`s that Slack hands out with commands and clicks: five uses within thirty minutes."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.sandbox.blocks import problems
from bot.sandbox.messages import Content, Message
from bot.sandbox.workspace import Channel, Workspace

USES = 5
LIFETIME = 30 * 60.0  # seconds
VIA = "response_url"


@dataclass(slots=True, eq=False)
class _Issued:
    """One URL, and what it may answer to."""

    channel: str
    user_id: str
    original: Message | None  # the message whose button was pressed; a command has none
    born: float  # unix seconds
    uses: int = 0


class ResponseUrls:
    """Hands out URLs and does what is posted to them."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float]) -> None:
        self._workspace = workspace
        self._clock = clock
        self._issued: dict[str, _Issued] = {}

    def issue(self, channel: str, user_id: str, original: Message | None = None) -> str:
        """Return the unguessable end of a new URL."""
        opaque = secrets.token_hex(12)
        self._issued[opaque] = _Issued(channel, user_id, original, self._clock())
        return opaque

    def answers(self, opaque: str, payload: dict[str, Any] | None) -> tuple[int, str | None]:
        """Do what was posted; return the HTTP status and Slack's error, if any. Only a success is a use."""
        url = self._issued.get(opaque)
        if url is None:
            return 404, "no_service"
        if self._clock() - url.born > LIFETIME:
            return 404, "expired_url"
        if url.uses >= USES:
            return 404, "used_url"
        status, error = self._does(url, payload)
        url.uses += error is None
        return status, error

    def _does(self, url: _Issued, payload: dict[str, Any] | None) -> tuple[int, str | None]:
        if payload is None:
            return 400, "invalid_payload"
        if "delete_original" in payload:
            return self._deletes(url, payload)
        content, error = content_of(payload)
        if error is not None:
            return 400, error
        if payload.get("replace_original") is True and url.original is not None:
            return self._replaces(url.original, content)
        in_channel = payload.get("response_type") == "in_channel"
        place = Channel(url.channel, None if in_channel else url.user_id, payload.get("thread_ts"))
        self._workspace.post(place, content, via=VIA)
        return 200, None

    def _replaces(self, original: Message, content: Content) -> tuple[int, str | None]:
        if original.deleted:
            return 404, "message_not_found"
        self._workspace.edit(original, content, via=VIA)
        return 200, None

    def _deletes(self, url: _Issued, payload: dict[str, Any]) -> tuple[int, str | None]:
        if payload != {"delete_original": True}:
            return 400, "invalid_payload"
        if url.original is None or url.original.deleted:
            return 404, "message_not_found"
        self._workspace.delete(url.original)
        return 200, None


def content_of(payload: dict[str, Any]) -> tuple[Content, str | None]:
    """Read text and blocks (a list, or JSON of one), and Slack's error if it refuses them."""
    text, blocks = payload.get("text") or "", payload.get("blocks") or []
    if isinstance(blocks, str):
        try:
            blocks = json.loads(blocks)
        except ValueError:
            return Content(), "invalid_blocks_format"
    if not isinstance(text, str) or not isinstance(blocks, list):
        return Content(), "invalid_blocks_format"
    content = Content(text, blocks)
    return content, _refuses(content)


def _refuses(content: Content) -> str | None:
    if problems(content.blocks):
        return "invalid_blocks"
    if len(content.text) > 40_000:  # noqa: PLR2004 - Slack's limit, in characters
        return "msg_too_long"
    return None if content.text or content.blocks else "no_text"
