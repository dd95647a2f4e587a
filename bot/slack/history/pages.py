"""A page of history as a message, as pure functions from the page to what Slack shows."""

from collections.abc import Iterator

from bot.domain.errors import BotError, Refused, UsageError
from bot.domain.history import PAGE, HistoryEntry, Page, RequestStatus
from bot.slack.blocks import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    escape,
    header,
    plain,
    pressable,
    said,
    section,
    when,
    who,
)
from bot.slack.history import cursor
from bot.slack.history.command import Wanted
from bot.slack.history.cursor import Cursor
from bot.slack.history.wording import asked_for, lasted, outcome

OLDER = "history:older"
NEWER = "history:newer"
DETAILS = "history:details"
USAGE = "`/turso-audit [group] [@person] [outcome] [7d | 2026-10-01..2026-10-31]`"

_SHORT = 150  # characters of a reason or an explanation; *Details* shows more


def page(read: Page, wanted: Wanted) -> Message:
    """Show a page of requests, with what was asked for and what this reader does not see."""
    count = len(read.asked[:PAGE])
    text = f"{count} request{'' if count == 1 else 's'}, newest first" if count else f"No request: {asked_for(wanted)}"
    blocks = [header("History"), *top(read, wanted), *requests(read), *turns(read, wanted, NEWER, OLDER)]
    return Message(text, tuple(blocks))


def top(read: Page, wanted: Wanted) -> list[Block]:
    """Say what was asked for, and what is left out."""
    narrowed = [] if read.narrowed is None else [f":eyes: {escape(read.narrowed)}"]
    return [context(f"Asked for: {asked_for(wanted)}", *narrowed)]


def requests(read: Page) -> list[Block]:
    """List the requests; two blocks each."""
    if not read.asked:
        return [section(":mag: There is no such request.")]
    return [block for asked in read.asked[:PAGE] for block in _request(asked)]


def turns(read: Page, wanted: Wanted, newer: str, older: str) -> list[Block]:
    """Offer the neighbouring pages that there are."""
    buttons = []
    if read.newer is not None:
        buttons.append(button(newer, "← Newer", cursor.write(Cursor(wanted, after=read.newer))))
    if read.older is not None:
        buttons.append(button(older, "Older →", cursor.write(Cursor(wanted, before=read.older))))
    fitting = [each for each in buttons if pressable(each)]
    return [actions(*fitting)] if fitting else []


def usage() -> Message:
    """Explain the command."""
    return said(
        "*How to use* `/turso-audit`",
        section(
            f"{USAGE} shows who asked for which rotation and what came of it, newest first. "
            "Each part may be left out, and they come in any order."
        ),
        section(
            "• a group by its name; one that is called like an outcome as `group:failed`\n"
            "• a person from Slack's list, or `me`\n"
            f"• an outcome: {', '.join(map(code, RequestStatus))}\n"
            "• a period: `24h`, `7d`, `4w`, `2026-10-01`, `2026-10-01..2026-10-31`, `2026-10-01..`; days are UTC, "
            "the last one is included"
        ),
        section("For example: `/turso-audit payments failed 7d`"),
    )


def unreadable(error: BotError) -> Message:
    """Say why there is no page."""
    match error:
        case Refused():
            return said(f":no_entry: {escape(str(error))} The attempt is recorded.")
        case UsageError():
            return said(f"{escape(str(error))}\nUsage: {USAGE}. Pick people from the list that Slack shows after @.")
        case _:
            return said(f":warning: {escape(str(error))}")


def not_opened() -> Message:
    """Admit that there was no modal to show details in."""
    return said(":warning: Slack did not open the details in time. Please press *Details* again.")


def _request(asked: HistoryEntry) -> Iterator[Block]:
    group = "no group" if asked.group is None else code(asked.group)
    details = button(DETAILS, "Details", asked.rotation_id or "")
    yield section(f"{outcome(asked.ending, asked.resolved_as)} · {group}", details if pressable(details) else None)
    after = "" if asked.seconds is None else f" · after {lasted(asked.seconds)}"
    said_why = asked.explanation if asked.ending is not RequestStatus.SUCCEEDED else ""
    remarks = [plain(remark, _SHORT) for remark in (asked.reason, said_why) if remark]
    yield context(f"{when(asked.key.at)} · {who(asked.actor)}{after}", *remarks)
