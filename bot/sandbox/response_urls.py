"""The `response_url`s of commands and clicks: five uses within thirty minutes."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bot.sandbox.block_kit import message_problems
from bot.sandbox.json_object import JsonObject
from bot.sandbox.messages import Content, PostedMessage
from bot.sandbox.workspace import Audience, Workspace

_MAX_USES = 5
_LIFETIME = 30 * 60.0  # seconds
_VIA = "response_url"


@dataclass(slots=True, eq=False)
class _IssuedUrl:
    """One URL, and what a response to it refers to."""

    channel: str
    user_id: str
    original: PostedMessage | None  # the message whose button was pressed; a command has none
    issued: float  # unix seconds
    uses: int = 0


class ResponseUrls:
    """Issue URLs, and handle what is posted to them."""

    def __init__(self, workspace: Workspace, clock: Callable[[], float]) -> None:
        self._workspace = workspace
        self._clock = clock
        self._issued: dict[str, _IssuedUrl] = {}

    def issue(self, channel: str, user_id: str, original: PostedMessage | None = None) -> str:
        """Return the unguessable end of a new URL."""
        key = secrets.token_hex(12)
        self._issued[key] = _IssuedUrl(channel, user_id, original, self._clock())
        return key

    def handle(self, key: str, payload: JsonObject | None) -> tuple[int, str | None]:
        """Handle a post; return the HTTP status and Slack's error, if any. Only a success counts as a use."""
        url = self._issued.get(key)
        if url is None:
            return 404, "no_service"
        if self._clock() - url.issued > _LIFETIME:
            return 404, "expired_url"
        if url.uses >= _MAX_USES:
            return 404, "used_url"
        error = self._respond(url, payload)
        url.uses += error is None
        return 200 if error is None else 400, error

    def _respond(self, url: _IssuedUrl, payload: JsonObject | None) -> str | None:
        if payload is None:
            return "invalid_payload"
        content, error = parse_content(payload)
        if error is not None:
            return error
        if payload.get("replace_original") is True and url.original is not None:
            self._workspace.edit(url.original, content, via=_VIA)
            return None
        in_channel = payload.get("response_type") == "in_channel"
        audience = Audience(url.channel, None if in_channel else url.user_id)
        self._workspace.post(audience, content, via=_VIA)
        return None


def parse_content(payload: JsonObject) -> tuple[Content, str | None]:
    """Read text and blocks (a list, or JSON of one), and Slack's error if it rejects them."""
    text, blocks = payload.get("text") or "", payload.get("blocks") or []
    if isinstance(blocks, str):
        try:
            blocks = json.loads(blocks)
        except ValueError:
            return Content(), "invalid_blocks_format"
    if not isinstance(text, str) or not isinstance(blocks, list):
        return Content(), "invalid_blocks_format"
    content = Content(text, blocks)
    return content, _content_error(content)


def _content_error(content: Content) -> str | None:
    if message_problems(content.blocks):
        return "invalid_blocks"
    if len(content.text) > 40_000:  # noqa: PLR2004 - Slack's limit, in characters
        return "msg_too_long"
    return None if content.text or content.blocks else "no_text"
