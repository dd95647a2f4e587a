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
# Of the name of a member, in snake_case: what it speaks of.
_BAD_NAME = re.compile(
    r"(?:^|_)(?:abort|accept|block|cancel|challenge|den[iy]|dry|err|exception|fail|fault|forbid|login|partial|pend|problem"
    r"|queu|redirect|refus|reject|retry|schedul|skip|warn)"
)
_YES_OR_NO = re.compile(r"(?:^|_)(?:ok|success|succeeded|successful)$")
_GOOD_NAME = re.compile(r"(?:^|_)(?:complete|done|invalidat|revok|rotat|succe)")
_STATUS_NAME = re.compile(r"(?:^|_)(?:code|outcome|result|state|status)$")
_TEXT_NAME = re.compile(r"(?:^|_)(?:description|detail|info|message|msg|note|reason|text|title)s?$")
_IDENTIFIER = re.compile(r"(?:^|_)(?:id|location|locations|name|primary|slug|uuid|version)$")
_GOOD_TEXT = re.compile(
    r"(?:(?:rotation )?(?:ok(?:ay)?|done|completed?|success(?:ful(?:ly)?)?|succeeded)|no content|active|ready|2\d\d"
    r"|(?:all )?(?:the )?(?:group )?(?:auth(?:entication)? )?(?:tokens?|keys?|credentials?)"
    r"(?: was| were| has been| have been)?(?: successfully)? (?:invalidated|revoked|rotated)(?: successfully)?|)[.!]?",
    re.IGNORECASE,
)
_BAD_TEXT = re.compile(
    r"\b(?:blocked|den(?:y|ied)|error\w*|exception|fail\w*|forbidden|invalid|not (?:allowed|found)|refused|rejected"
    r"|unauthori[sz]ed|unavailable)\b",
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
    return Body.NO_ERROR if is_known and not _doubts("", data) else Body.OTHER


def _doubts(name: str, value: object) -> bool:
    """Return whether a value, or anything in it, casts doubt on a success: not to be sure is to be unsure."""
    if isinstance(value, dict):
        inner = any(_doubts(_snake_case(str(each)), part) for each, part in value.items())
    elif isinstance(value, list):
        inner = any(_doubts(name, part) for part in value)
    elif isinstance(value, str):
        inner = not _IDENTIFIER.search(name) and _BAD_TEXT.search(value) is not None
    else:
        inner = False
    is_word = isinstance(value, str | int | float) and not isinstance(value, bool)
    if is_word and (_STATUS_NAME.search(name) or _TEXT_NAME.search(name)):
        return _GOOD_TEXT.fullmatch(str(value)) is None
    return inner or _is_bad(name, value)


def _is_bad(name: str, value: object) -> bool:
    """Return whether a name speaks of a failure that is there, or of a success that is not."""
    if _YES_OR_NO.search(name):
        return value is not True
    if _GOOD_NAME.search(name):
        return not value or (isinstance(value, str) and value.lower() in {"false", "no", "0"})
    return bool(value) and _BAD_NAME.search(name) is not None


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
