"""The Home tab, as pure functions from what History says to what Slack shows."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256

from bot.domain.errors import BotError, Refused
from bot.domain.history import Home, RequestStatus
from bot.domain.models import Grant, GroupName, Role, Rotation
from bot.domain.names import GROUP_NAME
from bot.slack.blocks import (
    Block,
    actions,
    button,
    code,
    context,
    escape,
    header,
    home,
    menu,
    option,
    people,
    plain,
    pressable,
    rule,
    section,
    when,
    who,
)
from bot.slack.history import cursor
from bot.slack.history.command import Wanted
from bot.slack.history.cursor import Cursor
from bot.slack.history.pages import requests, top, turns

GROUP_MENU, PERSON_MENU = "home:group", "home:person"
OUTCOME_MENU, PERIOD_MENU = "home:outcome", "home:period"
CLEAR, AGAIN, NEWER, OLDER = "home:clear", "home:again", "home:newer", "home:older"
CANCEL = "home:cancel"
ANY = "*"
"""The choice that leaves a field open; no group, outcome or period is called like it."""

_PERIODS = {"24h": "The last 24 hours", "7d": "The last 7 days", "30d": "The last 30 days", "90d": "The last 90 days"}
_PENDING = 5
_GROUPS = 98  # of Slack's 100 options; "any" is one, and what is chosen may be another
_SECTION = 1500  # characters; five of emoji alone leave room for the rest in 250 kB
_SECTIONS = 5


def shown(read: Home, bookmark: Cursor, notice: str = "") -> Block:
    """Show what one reader may see; a notice stands on top."""
    blocks = [
        *([section(f":warning: {escape(notice)}")] if notice else []),
        *_pending(read.pending),
        *_own(read.patterns),
        rule(),
        header("History"),
        *_filters(bookmark.wanted, read.groups),
        *top(read.page, bookmark.wanted),
        *requests(read.page),
        *turns(read.page, bookmark.wanted, NEWER, OLDER),
        *_allowlist(read.allowlist),
        rule(),
        context(f"Audit trail {code(str(read.head))}"),
    ]
    return home(blocks, cursor.write(bookmark))


def unreadable(error: BotError, bookmark: Cursor) -> Block:
    """Say why nothing can be shown, and offer to try again, with or without what was asked for."""
    recorded = " The attempt is recorded." if isinstance(error, Refused) else ""
    offers = [button(AGAIN, "Try again", "again")]
    if bookmark.wanted != Wanted():
        offers.append(button(CLEAR, "Clear", "clear"))
    blocks = [section(f":warning: {escape(str(error))}{recorded}"), actions(*offers)]
    return home(blocks, cursor.write(bookmark))


def _pending(pending: Sequence[Rotation]) -> Iterator[Block]:
    if not pending:
        return
    yield header("Waiting for you")
    for rotation in pending[:_PENDING]:
        question = f"Rotate the tokens of {code(rotation.group)}? Waits until {when(rotation.expires_at)}."
        cancel = button(CANCEL, "Cancel", rotation.id)
        yield section(question, cancel if pressable(cancel) else None)
        yield context(f"Rotation {code(rotation.id)}", *([plain(rotation.reason, 150)] if rotation.reason else []))
    more = len(pending) - _PENDING
    rest = f" {more} more wait{'s' if more == 1 else ''} for you." if more > 0 else ""
    yield context(f"To confirm, press *Rotate tokens* on the card, where you asked for it.{rest}")
    yield rule()


def _own(patterns: Sequence[str]) -> Iterator[Block]:
    yield header("What you may rotate")
    names, left = _fitting([_groups_of(pattern) for pattern in patterns], ", ")
    more = f" and {left} more" if left else ""
    yield section(f"{names}{more}" if patterns else "Nothing: you are not on the allowlist for any group.")


def _filters(wanted: Wanted, groups: Sequence[GroupName]) -> Iterator[Block]:
    offers = [
        menu(GROUP_MENU, *_group_menu(wanted, groups)),
        people(PERSON_MENU, "Anybody", wanted.person),
        menu(
            OUTCOME_MENU, *_choice("Any outcome", {each: each.capitalize() for each in RequestStatus}, wanted.outcome)
        ),
        menu(PERIOD_MENU, *_choice("Any time", _PERIODS, wanted.period)),
    ]
    if wanted != Wanted():
        offers.append(button(CLEAR, "Clear", "clear"))
    # Slack keeps what a menu shows as long as its block has the same id, whatever is chosen for it here.
    yield {**actions(*offers), "block_id": "filters-" + sha256(repr(wanted).encode()).hexdigest()[:16]}


def _group_menu(wanted: Wanted, groups: Sequence[GroupName]) -> tuple[list[Block], Block]:
    names: dict[str, str] = {name: name for name in groups[:_GROUPS] if GROUP_NAME.fullmatch(name)}
    return _choice("Any group", names, wanted.group)


def _choice(everything: str, labels: Mapping[str, str], chosen: str | None) -> tuple[list[Block], Block]:
    """Offer the labels by their values, what is chosen among them, and a way back to everything."""
    known = {ANY: everything, **labels} | ({chosen: labels.get(chosen, chosen)} if chosen else {})
    options = {value: option(label, value) for value, label in known.items()}
    return list(options.values()), options[chosen or ANY]


def _allowlist(grants: Sequence[Grant] | None) -> Iterator[Block]:
    if grants is None:
        return
    yield rule()
    yield header("The allowlist in force")
    lines = [_grant(grant) for grant in grants]
    for _ in range(_SECTIONS):
        if lines:
            text, left = _fitting(lines, "\n")
            yield section(text)
            lines = lines[len(lines) - left :]
    if lines:
        yield context(f"{len(lines)} more: {code('turso-rotate allow list')} shows them all.")
    if not grants:
        yield section("It is empty: nobody may rotate.")


def _grant(grant: Grant) -> str:
    what = f"may rotate {_groups_of(grant.pattern)}" if grant.role is Role.ROTATE else "may read everything"
    until = ""
    if grant.until is not None:
        until = f" until {(grant.until - timedelta(microseconds=1)).date().isoformat()} (UTC)"
    return f"• {who(grant.actor)} {what}{until}"


def _groups_of(pattern: str) -> str:
    return f"every group ({code(pattern)})" if pattern == "*" else code(pattern)


def _fitting(parts: Sequence[str], between: str) -> tuple[str, int]:
    """Join as many parts as one section takes, and say how many are left."""
    text = ""
    for number, part in enumerate(parts):
        longer = f"{text}{between}{part}" if number else part
        if len(longer) > _SECTION:
            return text, len(parts) - number
        text = longer
    return text, 0
