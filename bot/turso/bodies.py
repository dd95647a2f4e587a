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
# What members of an object may be called, in snake_case: what each speaks of decides what it must be.
_FAILURE_NAME = re.compile(r"(?:.*_)?(?:err|errors?|exception|fail(?:ed|ures?)?|faults?|problems?|warnings?)(?:_.*)?")
_YES_NAME = re.compile(r"ok|success|successful")
_DONE_NAME = re.compile(r"(?:tokens?_|keys?_|group_)?(?:completed|done|invalidated|revoked|rotated|succeeded)(?:_at)?")
_WORD_NAME = re.compile(r"(?:http_)?status(?:_code)?|code|state|result|outcome|message|msg|detail")
_HARMLESS_NAME = re.compile(
    r"archived|created_at|delete_protection|group|group_id|group_name|id|locations?|name|organization|primary|slug"
    r"|updated_at|uuid|version"
)
_GOOD_TEXT = re.compile(
    r"(?:(?:rotation )?(?:ok(?:ay)?|done|completed?|success(?:ful(?:ly)?)?|succeeded)|no content|active|ready|2\d\d"
    r"|(?:all )?(?:the )?(?:group )?(?:auth(?:entication)? )?(?:tokens?|keys?|credentials?)"
    r"(?: was| were| has been| have been)?(?: successfully)? (?:invalidated|revoked|rotated)(?: successfully)?|)[.!]?",
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


def kind_of(body: bytes, content_type: str = "") -> Body:
    """Return what a whole body says."""
    try:
        text = body.decode()
    except ValueError:
        return Body.OTHER
    if _HTML.match(text) or content_type.lower().startswith("text/html"):
        return Body.HTML
    if not text.strip():
        return Body.EMPTY
    data = _json(text)
    if isinstance(data, dict) and data.get("error"):
        return Body.ERROR
    is_known = text.strip() == "null" or data is True or isinstance(data, dict | list)
    try:
        return Body.NO_ERROR if is_known and (data is True or _is_clear("", data)) else Body.OTHER
    except RecursionError:
        return Body.OTHER


def _is_clear(name: str, value: object) -> bool:
    """Return whether a value, and everything in it, is known to belong to a success: not to be sure is to be unsure."""
    if _FAILURE_NAME.fullmatch(name):
        return not value
    if isinstance(value, dict):
        return all(_is_clear(_snake_case(str(each)), part) for each, part in value.items())
    if isinstance(value, list):
        return all(_is_clear(name, part) for part in value)
    return value in (None, "") or _HARMLESS_NAME.fullmatch(name) is not None or _says_yes(name, value)


def _says_yes(name: str, value: object) -> bool:
    if _YES_NAME.fullmatch(name):
        return value is True
    if _DONE_NAME.fullmatch(name):
        return value is True or (isinstance(value, str) and value.startswith("20"))  # the year of a time
    return _WORD_NAME.fullmatch(name) is not None and _GOOD_TEXT.fullmatch(str(value)) is not None


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\W_]+", "_", name).lower()


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
    """Parse JSON; what is none, or has a name twice in an object, is `None`."""
    try:
        return json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        return None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name stands twice")
    return found


def _json_error(text: str) -> str | None:
    """Find the error in a JSON body: a string, or an object with a message."""
    body = _json(text)
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    return error if isinstance(error, str) else None
