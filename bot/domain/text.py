"""Foreign text made safe to store, to show in Slack, and to print; each function names the characters it treats."""

import re
import unicodedata

# PostgreSQL stores neither NUL nor lone surrogates, and no reason or note needs other control characters.
_UNSTORABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")
# White space of every kind, and letters that look like it: blank Braille, Hangul fillers.
_BLANKS = re.compile(r"[\s\u2800\u3164\uffa0]+")
# Control characters except the line feed, and marks that reorder or hide the text around them.
_DECEPTIVE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
# Letters or marks to Unicode, but invisible: fillers, variation selectors, blank Braille.
_BLANK_LETTERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
KEPT_CHARACTERS = 500
"""How many characters of a reason or a note are kept."""
_REORDERING = "\u202d\u202e"  # what follows is shown in another order: what people see is not what was typed


def storable(text: str) -> str:
    """Replace characters that cannot be stored with U+FFFD, and tabs and line breaks with spaces."""
    return re.sub(r"\r\n|[\t-\r]", " ", _UNSTORABLE.sub("\ufffd", text))


def kept(text: str) -> str:
    """Return what is kept of a reason or a note: the first 500 characters, in a form that can be stored."""
    return storable(text).strip()[:KEPT_CHARACTERS]


def words(text: str, limit: int = 0) -> list[str]:
    """Split at blanks of every kind, without what is invisible around each part; at most `limit` times, if not 0."""
    parts = (trimmed(part) for part in _BLANKS.split(trimmed(text), limit))
    return [part for part in parts if part]


def trimmed(text: str) -> str:
    """Drop blanks of every kind and invisible characters at both ends."""
    first, last = 0, len(text)
    while first < last and _is_nothing(text[first]):
        first += 1
    while first < last and _is_nothing(text[last - 1]):
        last -= 1
    return text[first:last]


def is_invisible(character: str) -> bool:
    """Return whether nothing is seen of a character; control characters and those that reorder text are not meant."""
    hidden = unicodedata.category(character) == "Cf" and character not in _REORDERING
    return hidden or bool(_BLANK_LETTERS.match(character))


def without_deception(text: str) -> str:
    """Drop control characters except line feeds, and marks that reorder or hide text."""
    return _DECEPTIVE.sub("", text)


def one_line(text: str) -> str:
    """Drop everything invisible, and collapse white space to single spaces."""
    seen = "".join(each if unicodedata.category(each)[0] != "C" else " " * each.isspace() for each in text)
    return " ".join(_BLANK_LETTERS.sub("", seen).split())


def escaped(text: str, keep: str = "") -> str:
    r"""Write what is not printable as an escape such as `\x1b`, except the characters in `keep`."""
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text
    )


def _is_nothing(character: str) -> bool:
    return bool(_BLANKS.match(character)) or is_invisible(character)
