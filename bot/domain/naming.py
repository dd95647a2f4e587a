"""Find out which group somebody means by what they typed."""

import asyncio
import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bot.domain.errors import BotError, NoSuchGroup, NotAGroup
from bot.domain.models import Actor, GroupInfo, GroupName, Request
from bot.domain.names import EXPLICIT, GROUP_NAME
from bot.domain.policy import Policy
from bot.domain.ports import Turso
from bot.domain.text import is_invisible, words

_CHANNEL = re.compile(r"<#[A-Z0-9]+\|([^<>|]*)>")  # a channel of this name, as Slack writes it
_KEPT_IN_FRONT, _KEPT_AT_THE_END = "./\\%-", "/\\%-"  # a path is no name
_CALLED = {"`": "backtick", "/": "slash", ".": "dot", "\\": "backslash"}
_RULE = "A name has up to 64 letters, digits, dashes and underscores, and starts with a letter or digit."
LOOKS_LIKE_A_TOKEN = (
    f"That looks like a token, not a group name. If it is the name of a group, write {EXPLICIT} in front of it."
)
_AND = frozenset({"and", "or", "plus", "&", "+"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """The group that somebody means."""

    group: GroupName
    """As Turso's list spells it; as it was typed, if the list does not have it or cannot be read."""
    listed: bool | None = None
    """Whether Turso's list has it; `None` if the list cannot be read."""
    info: GroupInfo | None = None
    """What Turso says about it, if it was asked."""
    problem: BotError | None = None
    """Why no group is meant."""
    similar: Sequence[GroupName] = ()
    """If it is not to be rotated: groups that the actor may rotate, best match first."""
    also: GroupName | None = None
    """The group with which the reason begins, if the actor may rotate it: perhaps both were meant."""


class GroupFinder:
    """Finds groups in Turso's list."""

    def __init__(self, turso: Turso) -> None:
        self._turso = turso

    async def find(self, policy: Policy, actor: Actor, request: Request) -> Meaning:
        """Find the group that the actor means; one that they may not rotate only by its name."""
        if actor.team_id != policy.team_id:
            return Meaning(request.group)

        def may(group: GroupName) -> bool:
            return policy.refuses_request(actor, group) is None

        listed, info = await self._look(request.group, ask=may(request.group))
        if listed is None:
            unclear = NotAGroup(request.problem, request.example) if request.problem else None
            return Meaning(request.group, None, info, unclear)
        group = meant(request, listed, may)
        if group is not None and may(group):
            known = info if group == request.group else None
            return Meaning(group, listed=True, info=known, also=_also_named(request.reason, group, listed, may))
        theirs = await asyncio.to_thread(lambda: list(filter(may, listed)))
        close = await asyncio.to_thread(similar, request.group, theirs)
        if group is not None:
            return Meaning(group, listed=True, similar=close)
        problem = await self._problem(request, theirs, close)
        return Meaning(request.group, listed=False, info=info, problem=problem, similar=close)

    async def _look(self, group: GroupName, *, ask: bool) -> tuple[Sequence[GroupName] | None, GroupInfo | None]:
        """Read the list and, if asked to, about the group: at the same time, since Turso may be slow."""
        if ask and self._turso.has_token(group):
            return await asyncio.gather(self._turso.groups(), self._turso.group_info(group))
        return await self._turso.groups(), None

    async def _problem(
        self, request: Request, theirs: Sequence[GroupName], close: Sequence[GroupName]
    ) -> BotError | None:
        """Return why what was typed is no group's name, if more is known than that the list does not have it."""
        if theirs and not request.example:
            database = request.group.lower()
            holder = await self._turso.group_of(database)
            if holder in theirs:
                return NoSuchGroup(GroupName(database), holder=holder)
        return NotAGroup(request.problem, request.example, close) if request.problem else None


def meant(request: Request, listed: Sequence[GroupName], may: Callable[[GroupName], bool]) -> GroupName | None:
    """Return the one group of the list that is meant, or `None` if there is none, or several.

    What is a name as it was typed means the group of that name. Else it is the only one that the person may rotate and
    that one of the readings names, in the same case or in another; or one that only differs in case.
    """
    if request.as_typed and request.group in listed:
        return request.group
    names = {request.group, *request.readings}
    same = _alike(names, listed)
    theirs = list(filter(may, same))
    for found in ([group for group in theirs if group in names], theirs, same if request.as_typed else []):
        if found:
            return found[0] if len(found) == 1 else None
    return None


def similar(name: str, groups: Iterable[GroupName]) -> tuple[GroupName, ...]:
    """Return up to three groups with a similar name, ignoring case, best match first."""
    by_lower: dict[str, list[GroupName]] = {}
    for group in groups:
        by_lower.setdefault(group.lower(), []).append(group)
    close = difflib.get_close_matches(name.lower(), by_lower)
    return tuple(group for lower in close for group in by_lower[lower])[:3]


def alike(name: str, groups: Iterable[GroupName]) -> GroupName | None:
    """Return the only group whose name differs in nothing but case."""
    found = set(_alike({name}, groups))
    return found.pop() if len(found) == 1 else None


def readings(word: str) -> tuple[GroupName, ...]:
    """Return the names that a word may stand for: without the marks around it, in plain letters, with other dashes."""
    bare = _strip(unicodedata.normalize("NFKC", _strip(_CHANNEL.sub(r"\1", word))))
    if bare.lower().startswith(EXPLICIT):
        bare = _strip(bare[len(EXPLICIT) :])
    # Slack shows _payments_ in italics; but an underscore may also belong to the name.
    forms = (bare, bare[1:-1] if bare[:1] == bare[-1:] == "_" else bare, bare.strip("_"))
    dashed = ("".join(_dash(each, dash) for each in form) for dash in ("-", "--") for form in forms)
    return tuple(GroupName(name) for name in dict.fromkeys(dashed) if GROUP_NAME.fullmatch(name))


def problem_of(word: str) -> str:
    """Say why a word is not a group's name, without quoting more of it than one mark."""
    return f"That is not a group name: it {_offence(word)}. {_RULE}"


def _offence(word: str) -> str:
    if word.startswith("-"):
        return "starts with a dash"
    if word.startswith("_"):
        return "starts with an underscore"
    for mark in word:
        if not re.fullmatch(r"[A-Za-z0-9_-]", mark):
            name = _CALLED.get(mark) or unicodedata.name(mark, "control character").lower()
            visible = unicodedata.category(mark)[0] == "P" or (mark.isascii() and mark.isprintable() and mark != "`")
            shown = mark if visible else f"U+{ord(mark):04X}"  # a message holds no backtick of others
            return f"contains this character: {name} ({shown})"
    return f"has {len(word)} characters"


def _also_named(
    reason: str, group: GroupName, listed: Iterable[GroupName], may: Callable[[GroupName], bool]
) -> GroupName | None:
    """Return another group that the person may rotate and with whose name a reason begins."""
    first = next((word for word in words(reason, 2) if word.lower() not in _AND), "")
    also = next(filter(may, _alike(readings(first)[:1], listed)), None)
    return None if also == group else also


def _alike(names: Iterable[str], groups: Iterable[GroupName]) -> list[GroupName]:
    lower = {name.lower() for name in names}
    return [group for group in groups if group.lower() in lower]


def _strip(text: str) -> str:
    first, last = 0, len(text)
    while first < last and _is_mark(text[first], _KEPT_IN_FRONT):
        first += 1
    while first < last and _is_mark(text[last - 1], _KEPT_AT_THE_END):
        last -= 1
    return text[first:last]


def _is_mark(character: str, kept: str) -> bool:
    kind = unicodedata.category(character)
    around = kind[0] in "PSZ" and kind not in {"Pd", "Pc"} and character not in kept
    return around or kind == "Mn" or is_invisible(character)


def _dash(character: str, dash: str) -> str:
    return dash if character != "-" and unicodedata.category(character) == "Pd" else character
