"""The card that asks for confirmation, and what it shows meanwhile: pure functions that return messages."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from bot.domain.models import Actor, GroupName, GroupWorld, HandRotation, Rotation
from bot.domain.requests import ConfirmationPrompt
from bot.domain.states import State
from bot.slack.blocks import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    escape,
    header,
    message,
    quoted,
    section,
    when,
    who,
)

CONFIRM = "rotation:confirm"
CONFIRM_AGAIN = "rotation:confirm_again"
CANCEL = "rotation:cancel"
RECENTLY = timedelta(days=1)
"""How long ago a rotation still deserves a warning."""

_SHOWN_DATABASES = 5
_SHOWN_GROUPS = 20
_SHOWN_WAITING = 3
DATABASE_TOKENS = (
    "Tokens minted for a *single database* normally stay valid. Only in legacy groups, one key signs them all."
)
"""What people most often get wrong about a rotation."""
_NOT_YET = "*Your press changed nothing:* what your card said about this group is no longer true."
_ENDS_NEW_TOKENS = "Rotating again also ends the tokens minted since."
_MAY_END_NEW_TOKENS = "If it happened, rotating again also ends the tokens minted since."


def usage(groups: Sequence[GroupName] | None) -> Message:
    """Explain the command, and list the groups that this person may rotate (`None`: Turso could not be asked)."""
    if groups is None:
        yours = "Could not ask Turso which groups you may rotate."
    elif not groups:
        yours = "You are not on the allowlist for any group at Turso."
    else:
        more = f" and {len(groups) - _SHOWN_GROUPS} more" if len(groups) > _SHOWN_GROUPS else ""
        yours = "You may rotate " + ", ".join(map(code, groups[:_SHOWN_GROUPS])) + more + "."
    return message(
        "*How to use* `/turso-rotate`",
        section(
            "`/turso-rotate &lt;group&gt; [reason]` invalidates every token minted for a Turso group, "
            "once you have confirmed it.\nFor example: `/turso-rotate payments key leaked in CI log`"
        ),
        section(yours),
    )


def ask(prompt: ConfirmationPrompt) -> Message:
    """Ask for the confirmation, anew if the group was rotated since the request was made."""
    rotation, again = prompt.rotation, prompt.instead_of is not None
    group, organization = code(rotation.group), code(rotation.organization)
    blocks = [
        header(f"Rotate the tokens of {rotation.group}{' again' if again else ''}?"),
        *([section(_NOT_YET)] if again else []),
        *map(section, _past(rotation, prompt.world, again=again)),
        section(
            f"*Every token minted for the group {group} in {organization} will stop working*, and every service that "
            "uses one fails until it gets a new one. Open connections may drop."
        ),
        *([] if prompt.also is None else [section(_misread(group, code(prompt.also)))]),
        section(DATABASE_TOKENS),
        _databases(prompt.info.databases),
    ]
    if prompt.info.exists is None:
        blocks.append(section(":warning: Could not ask Turso whether this group exists. You can rotate it anyway."))
    if rotation.reason:
        blocks.append(quoted("Reason", rotation.reason))
    confirm = (CONFIRM_AGAIN, "Rotate again") if again else (CONFIRM, "Rotate tokens")
    blocks += [
        actions(button(*confirm, rotation.id, "danger"), button(CANCEL, "Cancel", rotation.id)),
        context(f"Waiting for you until {when(rotation.expires_at)}", rotation_id(rotation)),
    ]
    return Message(f"{blocks[0]['text']['text']} Confirm or cancel.", tuple(blocks))


def rotating(rotation: Rotation) -> Message:
    """Show that the call is running."""
    text = f":hourglass_flowing_sand: Rotating the tokens of {code(rotation.group)}…"
    return message(text, context(rotation_id(rotation)))


def in_progress(rotation: Rotation, reader: Actor) -> Message:
    """Tell somebody whose press changed nothing that the group is being rotated already."""
    starter = "you" if rotation.requester == reader else who(rotation.requester)
    since = "" if rotation.started_at is None else f", {when(rotation.started_at)}"
    until = "" if rotation.lease_until is None else f" Its outcome will be known by {when(rotation.lease_until)}."
    text = f"The tokens of {code(rotation.group)} are being rotated (started by {starter}{since})."
    return message(f"{text} Your press changed nothing.{until}", context(rotation_id(rotation)))


def rotation_id(rotation: Rotation) -> str:
    """Return the small print that names the rotation."""
    return f"Rotation {code(rotation.id)}"


def _misread(group: str, also: str) -> str:
    return (
        f":warning: *Only {group} is rotated.* {also} was read as the reason. To rotate both, type the command twice."
    )


def _databases(names: Sequence[str] | None) -> Block:
    if names is None:
        return section("Could not list the group's databases.")
    if not names:
        return section("The group has no databases.")
    shown = ", ".join(map(code, names[:_SHOWN_DATABASES])) + (", …" if len(names) > _SHOWN_DATABASES else "")
    return section(f"*{len(names)} database{'s' if len(names) > 1 else ''}* in the group: {shown}")


def _past(rotation: Rotation, world: GroupWorld, *, again: bool) -> Iterator[str]:
    """Describe what others did with the group; in bold if it may matter to the decision, as all does that asks anew."""
    since = rotation.requested_at - RECENTLY
    if world.last is not None and world.last.started_at is not None:
        yield _last(world.last, world.last.started_at, bold=again or world.last.started_at >= since)
    if world.by_hand is not None and (again or world.last is None or world.by_hand.at > _start(world.last)):
        yield _by_hand(world.by_hand, bold=again or world.by_hand.at >= since)
    if world.last is None and world.by_hand is None:
        yield "This bot has not rotated this group before."
    for other in world.waiting[:_SHOWN_WAITING]:
        yield f":warning: *{who(other.requester)} also asked for this*{_where(other)}, {when(other.requested_at)}."


def _where(request: Rotation) -> str:
    return "" if request.requester.in_slack else " at a terminal"


def _start(rotation: Rotation) -> datetime:
    return rotation.started_at or rotation.requested_at


def _last(last: Rotation, at: datetime, *, bold: bool) -> str:
    if last.state is State.ROTATING:
        now = f"*Being rotated right now* by {who(last.requester)}, {when(at)}."
        return f":hourglass_flowing_sand: {now} {_ENDS_NEW_TOKENS}"
    by = f"{when(at)} by {who(last.requester)}"
    if last.state is State.UNKNOWN:
        judged = "" if last.resolved_as is None else f", judged {last.resolved_as}"
        return _stressed(f"Last attempt {by} (outcome unknown{judged}).", _MAY_END_NEW_TOKENS, bold=bold)
    return _stressed(f"Last rotated {by}.", _ENDS_NEW_TOKENS, bold=bold)


def _by_hand(rotation: HandRotation, *, bold: bool) -> str:
    note = f" ({escape(rotation.note, 150)})" if rotation.note else ""
    text = f"Rotated by hand {when(rotation.at)}, as {who(rotation.noted_by)} noted{note}."
    return _stressed(text, _ENDS_NEW_TOKENS, bold=bold)


def _stressed(text: str, consequence: str, *, bold: bool) -> str:
    return f":warning: *{text}* {consequence}" if bold else text
