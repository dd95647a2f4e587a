"""Parse what somebody typed after `/turso-rotate`; pure."""

import re
import unicodedata
from dataclasses import replace

from bot.domain.errors import UsageError
from bot.domain.models import GroupName, Request
from bot.domain.names import EXPLICIT
from bot.domain.naming import LOOKS_LIKE_A_TOKEN, problem_of, readings
from bot.domain.secrets import REDACTED
from bot.domain.text import kept, storable, words

HELP = frozenset({"help", "--help", "-h", "?"})

_LISTING = frozenset({"groups", "list", "ls", "show", "status"})
_BEFORE_A_NAME = frozenset({
    "all", "cycle", "expire", "for", "group", "in", "invalidate", "kill", "of", "please", "refresh", "renew", "reset",
    "revoke", "roll", "rotate", "the", "token", "tokens",
})  # fmt: skip
_COLONS = r":,;\uff1a\uff0c\uff1b\u3001"
_GLUED = re.compile(rf"([^{_COLONS}]+[{_COLONS}]+)(.+)")
_NAME_ONLY = "Write only the name of the group and, if you like, a reason."


def parse(text: str) -> Request | None:
    """Parse `<group> [reason]`; `None` is a request for help.

    Raises `UsageError` if the first word cannot stand for a group's name; the text of the error quotes nothing.
    """
    word, rest = _split(text)
    command = re.sub(r"^\W+|\W+$", "", word).lower()
    if not word or word in HELP or command in HELP:
        return None
    if REDACTED in word:
        raise UsageError(LOOKS_LIKE_A_TOKEN)
    before = command in _BEFORE_A_NAME
    names = readings(word) or ((GroupName(command),) if before else ())
    if not names:
        raise UsageError(problem_of(word))
    request = Request(names[0], kept(rest), readings=names[1:])
    if before:
        return replace(request, problem=_NAME_ONLY, example=_example(rest))
    typed = storable(word)
    if typed == request.group:
        return request
    request = replace(request, typed=typed)
    return request if request.as_typed else replace(request, problem=problem_of(word))


def asks_for_groups(request: Request) -> bool:
    """Return whether the command asks which groups there are, unless one is called so."""
    return request.group.lower() in _LISTING and not request.typed.startswith(EXPLICIT)


def _split(text: str) -> tuple[str, str]:
    """Split off the word for the group, also from a colon, and together with quotes that stand apart from it."""
    word, rest = _first(text)
    if rest and all(map(_is_quote, word)):
        name, rest = _first(rest)
        closing, after = _first(rest)
        word, rest = word + name, after if all(map(_is_quote, closing)) else rest
    for entity, mark in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        word = word.replace(entity, mark)
    if word.lower().startswith(EXPLICIT):
        return EXPLICIT + word[len(EXPLICIT) :], rest
    glued = _GLUED.fullmatch(word)
    if glued and glued[2][0].isalnum() and readings(glued[1]) not in {(), (EXPLICIT[:-1],)}:
        return glued[1], f"{glued[2]} {rest}"
    return word, rest


def _first(text: str) -> tuple[str, str]:
    first, rest, *_ = (*words(text, 1), "", "")
    return first, rest


def _is_quote(character: str) -> bool:
    return character in "\"'`#<>@" or unicodedata.category(character) in {"Pi", "Pf", "Ps", "Pe"}


def _example(rest: str) -> str:
    """Return the command with the first word of the rest that may be meant as the group."""
    names = (name for word in words(rest) for name in readings(word)[:1] if name.lower() not in _BEFORE_A_NAME)
    return next((f"/turso-rotate {name}" for name in names), "")
