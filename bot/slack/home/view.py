"""The Home tab: pure functions of what `History` returns."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from bot.domain.errors import BotError, Refused
from bot.domain.grants import Grant, Role
from bot.domain.history import Cursor, HistoryQuery, Home, RequestStatus
from bot.domain.models import GroupName, Rotation
from bot.domain.names import GROUP_NAME
from bot.slack.blocks import (
    Block,
    actions,
    button,
    code,
    context,
    escape,
    fits,
    header,
    home,
    menu,
    option,
    people,
    plain,
    rule,
    section,
    when,
    who,
)
from bot.slack.history import cursor
from bot.slack.history.pages import neighbours, requests, top, unread

GROUP_MENU, PERSON_MENU = "home:group", "home:person"
OUTCOME_MENU, PERIOD_MENU = "home:outcome", "home:period"
CLEAR, AGAIN, NEWER, OLDER = "home:clear", "home:again", "home:newer", "home:older"
CANCEL = "home:cancel"
ANY = "*"
"""The choice that leaves a filter open; no group, outcome or period has this name."""

_PERIODS = {"24h": "The last 24 hours", "7d": "The last 7 days", "30d": "The last 30 days", "90d": "The last 90 days"}
_PENDING = 5
_GROUPS = 98  # of Slack's 100 options: "any" is one, and the current choice may be another
_SECTION = 1500  # characters; five sections of emoji still fit into 250 kB
_SECTIONS = 5


def show(home_tab: Home, at: Cursor, notice: str = "") -> Block:
    """Show what one reader may see, with a notice on top if there is one."""
    blocks = [
        *([section(f":warning: {escape(notice)}")] if notice else []),
        *_pending(home_tab.pending),
        *_own(home_tab.patterns),
        rule(),
        header("History"),
        *_filters(at.query, home_tab.groups),
        *top(home_tab.page, at.query),
        *requests(home_tab.page),
        *unread([*home_tab.page.unreadable, *home_tab.unreadable]),
        *neighbours(home_tab.page, at.query, NEWER, OLDER),
        *_allowlist(home_tab.allowlist),
        rule(),
        context(f"Audit trail {code(str(home_tab.head))}"),
    ]
    return home(blocks, cursor.write(at))


def failed(error: BotError, at: Cursor) -> Block:
    """Explain why nothing can be shown, and offer to try again, with or without the filters."""
    recorded = " The attempt is recorded." if isinstance(error, Refused) else ""
    offers = [button(AGAIN, "Try again", "again")]
    if at.query != HistoryQuery():
        offers.append(button(CLEAR, "Clear", "clear"))
    blocks = [section(f":warning: {escape(str(error))}{recorded}"), actions(*offers)]
    return home(blocks, cursor.write(at))


def _pending(pending: Sequence[Rotation]) -> Iterator[Block]:
    if not pending:
        return
    yield header("Waiting for you")
    for rotation in pending[:_PENDING]:
        question = f"Rotate the tokens of {code(rotation.group)}? Expires {when(rotation.expires_at)}."
        cancel = button(CANCEL, "Cancel", rotation.id)
        yield section(question, cancel if fits(cancel) else None)
        yield context(f"Rotation {code(rotation.id)}", *([plain(rotation.reason, 150)] if rotation.reason else []))
    more = len(pending) - _PENDING
    rest = f" {more} more {'is' if more == 1 else 'are'} waiting for you." if more > 0 else ""
    yield context(f"To confirm, use the card where you requested it.{rest}")
    yield rule()


def _own(patterns: Sequence[str]) -> Iterator[Block]:
    yield header("What you may rotate")
    names, left = _fitting([_groups_of(pattern) for pattern in patterns], ", ")
    more = f" and {left} more" if left else ""
    yield section(f"{names}{more}" if patterns else "You are not on the allowlist for any group.")


def _filters(query: HistoryQuery, groups: Sequence[GroupName]) -> Iterator[Block]:
    offers = [
        menu(GROUP_MENU, *_group_menu(query, groups)),
        people(PERSON_MENU, "Anybody", query.person),
        menu(OUTCOME_MENU, *_choice("Any outcome", {each: each.capitalize() for each in RequestStatus}, query.outcome)),
        menu(PERIOD_MENU, *_choice("Any time", _PERIODS, query.period.text if query.period else None)),
    ]
    if query != HistoryQuery():
        offers.append(button(CLEAR, "Clear", "clear"))
    # As long as the block keeps its id, Slack shows the user's last choice, whatever `initial_option` says.
    yield {**actions(*offers), "block_id": "filters-" + sha256(repr(query).encode()).hexdigest()[:16]}


def _group_menu(query: HistoryQuery, groups: Sequence[GroupName]) -> tuple[list[Block], Block]:
    names: dict[str, str] = {name: name for name in groups[:_GROUPS] if GROUP_NAME.fullmatch(name)}
    return _choice("Any group", names, query.group)


def _choice(everything: str, labels: Mapping[str, str], chosen: str | None) -> tuple[list[Block], Block]:
    """Build the options and the current choice of a menu, with a way back to everything."""
    known = {ANY: everything, **labels} | ({chosen: labels.get(chosen, chosen)} if chosen else {})
    options = {value: option(label, value) for value, label in known.items()}
    return list(options.values()), options[chosen or ANY]


def _allowlist(grants: Sequence[Grant] | None) -> Iterator[Block]:
    if grants is None:
        return
    yield rule()
    yield header("Allowlist")
    lines = [_grant(grant) for grant in grants]
    for _ in range(_SECTIONS):
        if lines:
            text, left = _fitting(lines, "\n")
            yield section(text)
            lines = lines[len(lines) - left :]
    if lines:
        yield context(f"{len(lines)} more: {code('turso-rotate allow list')} lists them all.")
    if not grants:
        yield section("Empty: nobody may rotate.")


def _grant(grant: Grant) -> str:
    what = f"may rotate {_groups_of(grant.pattern)}" if grant.role is Role.ROTATE else "may read everything"
    until = "" if grant.last_day is None else f" until {grant.last_day} (UTC)"
    return f"• {who(grant.actor)} {what}{until}"


def _groups_of(pattern: str) -> str:
    return f"every group ({code(pattern)})" if pattern == "*" else code(pattern)


def _fitting(parts: Sequence[str], between: str) -> tuple[str, int]:
    """Join as many parts as fit into one section; return the text and how many parts are left."""
    text = ""
    for number, part in enumerate(parts):
        longer = f"{text}{between}{part}" if number else part
        if len(longer) > _SECTION:
            return text, len(parts) - number
        text = longer
    return text, 0
