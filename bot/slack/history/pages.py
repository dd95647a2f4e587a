"""A page of history as a message: pure functions of the page."""

from collections.abc import Iterator, Sequence

from bot.domain.errors import BotError, Refused, UnreadableRow, UsageError
from bot.domain.history import PAGE, Cursor, HistoryEntry, HistoryQuery, Page, RequestStatus
from bot.slack.blocks import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    escape,
    fits,
    header,
    message,
    plain,
    section,
    when,
    who,
)
from bot.slack.history import cursor
from bot.slack.history.wording import asked_for, duration, status_label
from bot.slack.rotate.refusal import did_you_mean

OLDER = "history:older"
NEWER = "history:newer"
DETAILS = "history:details"
USAGE = "`/turso-audit [group] [@person] [outcome] [7d | 2026-10-01..2026-10-31]`"

_NAMED = 5  # rows that cannot be read
_VERIFY = "turso-rotate audit verify"
_SHORT = 150  # characters of a reason or an explanation; *Details* shows more


def show(page: Page, query: HistoryQuery) -> Message:
    """Show a page of requests, with the query and what this reader does not see."""
    count = len(page.entries[:PAGE])
    text = f"{count} request{'' if count == 1 else 's'}, newest first" if count else f"No requests: {asked_for(query)}"
    blocks = [
        header("History"),
        *top(page, query),
        *requests(page),
        *unread(page.unreadable),
        *neighbours(page, query, NEWER, OLDER),
    ]
    return Message(text, tuple(blocks))


def top(page: Page, query: HistoryQuery) -> list[Block]:
    """Show the query, and what this reader does not see."""
    narrowed = [] if page.narrowed is None else [f":eyes: {escape(page.narrowed)}"]
    return [context(f"Showing: {asked_for(query)}", *narrowed)]


def requests(page: Page) -> list[Block]:
    """List the requests, two blocks each."""
    if not page.entries and not page.unreadable:
        return [section(":mag: No requests found.")]
    return [block for entry in page.entries[:PAGE] for block in _request(entry)]


def unread(unreadable: Sequence[UnreadableRow]) -> list[Block]:
    """Name the rows that cannot be read, if there are any."""
    if not unreadable:
        return []
    more = f" {len(unreadable) - _NAMED} more cannot be read." if len(unreadable) > _NAMED else ""
    named = " ".join(escape(str(each)) for each in unreadable[:_NAMED])
    return [section(f":warning: {named}{more} An operator can find out what happened: {code(_VERIFY)}.")]


def neighbours(page: Page, query: HistoryQuery, newer: str, older: str) -> list[Block]:
    """Offer the pages next to this one, if there are any."""
    buttons = []
    if page.newer is not None:
        buttons.append(button(newer, "← Newer", cursor.write(Cursor(query, after=page.newer))))
    if page.older is not None:
        buttons.append(button(older, "Older →", cursor.write(Cursor(query, before=page.older))))
    fitting = [each for each in buttons if fits(each)]
    return [actions(*fitting)] if fitting else []


def usage() -> Message:
    """Explain the command."""
    return message(
        "*How to use* `/turso-audit`",
        section(
            f"{USAGE} shows who requested which rotations and how they ended, newest first. "
            "Every part is optional, in any order."
        ),
        section(
            "• a group; write `group:failed` if its name is also an outcome\n"
            "• a rotation's ID, to read its story\n"
            "• a person from Slack's list, or `me`\n"
            f"• an outcome: {', '.join(map(code, RequestStatus))}\n"
            "• a period: `30m`, `24h`, `7d`, `4w`, `today`, `yesterday`, `2026-10-01`, `2026-10-01..2026-10-31`, "
            "`2026-10-01..`; days are UTC, and the last one is included"
        ),
        section("For example: `/turso-audit payments failed 7d`"),
    )


def failed(error: BotError) -> Message:
    """Explain why there is no page."""
    match error:
        case Refused():
            return message(f":no_entry: {escape(str(error))} The attempt is recorded.{did_you_mean(error.similar)}")
        case UsageError():
            return message(f"{escape(str(error))}\nUsage: {USAGE}. Pick people from the list that Slack shows after @.")
        case _:
            return message(f":warning: {escape(str(error))}")


def not_opened() -> Message:
    """Report that Slack opened no modal for the details."""
    return message(":warning: Slack did not open the details in time. Please press *Details* again.")


def _request(entry: HistoryEntry) -> Iterator[Block]:
    group = "no group" if entry.group is None else code(entry.group)
    details = button(DETAILS, "Details", entry.rotation_id or "")
    yield section(f"{status_label(entry.status, entry.resolved_as)} · {group}", details if fits(details) else None)
    after = "" if entry.seconds is None else f" · after {duration(entry.seconds)}"
    explanation = entry.explanation if entry.status is not RequestStatus.SUCCEEDED else ""
    remarks = [plain(remark, _SHORT) for remark in (entry.reason, explanation) if remark]
    yield context(f"{when(entry.key.at)} · {who(entry.actor)}{after}", *remarks)
