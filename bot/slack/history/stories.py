"""The details of a rotation as a modal or a message: pure functions of its story."""

from collections.abc import Iterator, Sequence

from bot.domain.errors import BotError
from bot.domain.events import RecordedEvent
from bot.domain.history import RequestStatus, Story
from bot.slack.blocks import (
    Block,
    Message,
    code,
    context,
    escape,
    header,
    modal,
    plain,
    quoted,
    rule,
    section,
    when,
    who,
)
from bot.slack.history.pages import unread
from bot.slack.history.wording import ACTIONS, facts, place, status_label

_TITLE = "Rotation details"
_SHOWN_AT_EACH_END = 10  # events; Slack takes 100 blocks, and 250 kB
_FACTS = 700  # characters of a reason, or of an event's facts
_HASH = 12  # digits that tell one hash from another


def loading() -> Block:
    """Show that the story is being read: a modal must open at once."""
    return modal(_TITLE, [section(":hourglass_flowing_sand: Loading…")])


def failed(error: BotError) -> Block:
    """Explain why there is no story."""
    return modal(_TITLE, [section(f":warning: {escape(str(error))}")])


def show(story: Story) -> Block:
    """Show a rotation's story, row by row of the audit trail."""
    return modal(_TITLE, _blocks(story))


def message(story: Story) -> Message:
    """Show the same as a message."""
    return Message(f"The rotation of {escape(story.rotation.group)}", tuple(_blocks(story)))


def _blocks(story: Story) -> list[Block]:
    rotation = story.rotation
    requested = f"Requested by {who(rotation.requester)} {when(rotation.requested_at)}{place(rotation.channel_id)}."
    return [
        header(f"{rotation.group} in {rotation.organization}"),
        section(f"{status_label(RequestStatus(rotation.state), rotation.resolved_as)}\n{requested}"),
        *([quoted("Reason", rotation.reason, _FACTS)] if rotation.reason else []),
        rule(),
        *_events(story.events),
        *unread(story.unreadable),
        rule(),
        context(f"Rotation {code(rotation.id)}", f"In a terminal: {code(f'turso-rotate audit show {rotation.id}')}"),
    ]


def _events(events: Sequence[RecordedEvent]) -> Iterator[Block]:
    left_out = max(len(events) - 2 * _SHOWN_AT_EACH_END, 0)
    for recorded in events[:_SHOWN_AT_EACH_END]:
        yield from _event(recorded)
    if left_out:
        yield context(f"… {left_out} more row{'' if left_out == 1 else 's'} …")
    for recorded in events[_SHOWN_AT_EACH_END + left_out :]:
        yield from _event(recorded)


def _event(recorded: RecordedEvent) -> Iterator[Block]:
    event = recorded.event
    where = place(event.detail.get("channel"))
    yield section(f"*{ACTIONS[event.action]}*\n{who(event.actor)} · {when(recorded.at, seconds=True)}{where}")
    more = facts(event.detail)
    row = f"Row {recorded.seq} · hash {code(recorded.hash[:_HASH])} after {code(recorded.prev_hash[:_HASH])}"
    yield context(*([plain(more, _FACTS)] if more else []), row)
