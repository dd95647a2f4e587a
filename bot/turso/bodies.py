"""Read what the body of an answer says about a request."""

import json
import re
from collections.abc import Collection
from enum import Enum, auto
from typing import Any

from bot.domain.text import one_line
from bot.ops.redaction import Redactor

_MAX_MESSAGE = 270
_MAX_READ = 8192
_MAX_SECRET = 4096
_HTML = re.compile(r"\s*<(?:!doctype|html|head|body|title|h1)\b", re.IGNORECASE)
_SUCCESS_NAMES = frozenset({"ok", "success", "succeeded", "successful"})
_FAILURE_NAMES = frozenset({"error", "errors", "exception", "failed", "failure", "failures", "fault", "faults"})
_STATUS_NAMES = frozenset({"code", "httpstatus", "outcome", "result", "state", "status", "statuscode"})
_TEXT_NAMES = frozenset({"description", "detail", "message", "msg", "reason", "statustext", "title"})
_SUCCESS = re.compile(
    r"\b(?:completed?|done|invalidated|ok(?:ay)?|rotated|success(?:ful(?:ly)?)?|succeeded)\b", re.IGNORECASE
)
_FAILURE = re.compile(
    r"\b(?:no|not|un\w+|cannot|can't|denied|error\w*|expired|fail\w*|forbidden|invalid|partial\w*|refused|timed?)\b",
    re.IGNORECASE,
)


class Body(Enum):
    """What a body says about a request."""

    EMPTY = auto()
    ERROR = auto()
    """JSON with an `error`."""
    NO_ERROR = auto()
    """JSON that names no failure."""
    HTML = auto()
    OTHER = auto()
    """Anything else; also what could not be read whole."""


def kind_of(body: bytes) -> Body:
    """Return what a whole body says."""
    try:
        text = body.decode()
    except ValueError:
        return Body.OTHER
    if not text.strip():
        return Body.EMPTY
    if _HTML.match(text):
        return Body.HTML
    data = _json(text)
    if isinstance(data, dict) and data.get("error"):
        return Body.ERROR
    harmless = text.strip() == "null" or data is True or (isinstance(data, dict | list) and not _may_be_failure(data))
    return Body.NO_ERROR if harmless else Body.OTHER


def _may_be_failure(data: object) -> bool:
    """Return whether JSON, at any depth, speaks of a failure, or of something that is not clearly a success."""
    if isinstance(data, list):
        return any(map(_may_be_failure, data))
    if not isinstance(data, dict):
        return False
    return any(_doubts(re.sub(r"[\W_]", "", str(name).lower()), value) for name, value in data.items())


def _doubts(name: str, value: object) -> bool:
    """Return whether a member of an object makes it doubtful that this is an answer about a success."""
    if name in _SUCCESS_NAMES:
        return value is not True
    if value is None or isinstance(value, dict | list):
        return (bool(value) and name in _FAILURE_NAMES) or _may_be_failure(value)
    if name in _FAILURE_NAMES:
        return value not in (False, "")
    if name in _STATUS_NAMES or name in _TEXT_NAMES:
        words = str(value)
        said = _SUCCESS.search(words) and not _FAILURE.search(words)
        return not (said or re.fullmatch(r"2\d\d", words) or not words)
    return False


def error_message(text: str, secrets: Collection[str] = ()) -> str:
    """Return what an answer says as one short line without control characters and secrets; it may hold mrkdwn."""
    message = _json_error(text)
    if message is None:
        # A page is for browsers, and JSON without an error is no message.
        message = "" if _HTML.match(text) or _json(text) is not None else text
    line = Redactor(secrets).text(one_line(message[:_MAX_READ]))
    if len(message) > _MAX_READ:
        # The cut may have left half a secret at the end, which no longer looks like one.
        line = line[:-_MAX_SECRET] + line[-_MAX_SECRET:].rpartition(" ")[0]
    return line if len(line) <= _MAX_MESSAGE else f"{line[: _MAX_MESSAGE - 1]}…"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _json_error(text: str) -> str | None:
    """Find the error in a JSON body: a string, or an object with a message."""
    body = _json(text)
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else None
