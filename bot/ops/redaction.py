"""Replace known secrets, and what looks like one, in text that leaves the process."""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from bot.domain.secrets import NAMES, REDACTED, VALUE, hide

_SENSITIVE = rf"{NAMES}|response_url|ticket|trigger_id|x-slack-signature"
# A shorter secret is only replaced as a whole word: the password "bot" must not cut up every "robot".
_SAFE_ANYWHERE = 8
_DEPTH = 8
_NESTED = 3
# What Slack hands out and what a name says, as a log line may hold it: in a form, in JSON, or in a `repr`.
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (rf"(?:https?://[^\s\"'\\<>/]{{1,255}})?/response/{VALUE}+", REDACTED),
        (r"\b\d{6,}\.\d{6,}\.[0-9a-f]{12,}\b", REDACTED),
        (r"\bv0=[0-9a-f]{32,}", REDACTED),
        (rf"\b({_SENSITIVE})((?:=|\\?[\"']\s*[:=,])\s*(?:b?\\?[\"'])?)(?!\[redacted){VALUE}+", rf"\1\2{REDACTED}"),
    )
)


class Redactor:
    """Replaces known secrets, and what looks like one, by `[redacted]`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if form}
        ordered = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """Redact one string."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        text = hide(text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: object, depth: int = _DEPTH) -> object:
        """Redact any value; what JSON cannot represent becomes its redacted `repr`."""
        match value:
            case None | bool():
                return value
            case str():
                return self.text(value)
            case int() | float():
                shown = self.text(str(value))
                return value if shown == str(value) else shown
            case dict() if depth:
                return {self.text(str(key)): self.item(key, each, depth) for key, each in value.items()}
            case list() | tuple() if depth:
                return [self.value(each, depth - 1) for each in value]
            case _:
                return self.text(repr(value))

    def item(self, key: object, value: object, depth: int = _DEPTH) -> object:
        """Redact the value of a key: all of it if the key's name is that of a secret."""
        hidden = value and re.fullmatch(_SENSITIVE, str(key), re.IGNORECASE)
        return REDACTED if hidden else self.value(value, depth - 1)


def _forms(secret: str) -> set[str]:
    """Return the spellings of a secret: plain, in a URL, in JSON, in a `repr`, and each of these in another."""
    forms = {secret}
    for _ in range(_NESTED):
        forms |= {spelling for form in forms for spelling in _spellings(form)}
    return forms


def _spellings(text: str) -> Iterator[str]:
    raw = text.encode(errors="surrogatepass")
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
    yield from (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    # Which quotes a `repr` escapes depends on the text around them.
    for shown in (repr(text)[1:-1], repr(f'{text}"')[1:-2], repr(raw)[2:-1], repr(raw + b'"')[2:-2]):
        yield shown
        yield shown.replace("\\'", "'").replace("'", "\\'")


def _pattern(form: str) -> str:
    return re.escape(form) if len(form) >= _SAFE_ANYWHERE else rf"(?<!\w){re.escape(form)}(?!\w)"
