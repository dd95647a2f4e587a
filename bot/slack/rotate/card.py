"""The card that asks for confirmation, and what it shows meanwhile: pure functions that return messages."""

from collections.abc import Sequence

from bot.domain.models import Actor, GroupName, Rotation
from bot.domain.rotations import ConfirmationPrompt
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
CANCEL = "rotation:cancel"

_SHOWN_DATABASES = 5
_SHOWN_GROUPS = 20
DATABASE_TOKENS = "Tokens minted for a *single database* are signed separately and stay valid."
"""What people most often get wrong about a rotation."""


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
    """Ask for the confirmation."""
    rotation = prompt.rotation
    group, organization = code(rotation.group), code(rotation.organization)
    blocks = [
        header(f"Rotate the tokens of {rotation.group}?"),
        section(
            f"*Every token minted for the group {group} in {organization} stops working at once.* Live connections "
            "may drop, and every service that uses such a token fails until it gets a new one."
        ),
        *([] if prompt.also is None else [section(_misread(group, code(prompt.also)))]),
        section(DATABASE_TOKENS),
        _databases(prompt.info.databases),
        section(_last(prompt.last)),
    ]
    if prompt.info.exists is None:
        blocks.append(section(":warning: Could not ask Turso whether this group exists. You can rotate it anyway."))
    if rotation.reason:
        blocks.append(quoted("Reason", rotation.reason))
    blocks += [
        actions(button(CONFIRM, "Rotate tokens", rotation.id, "danger"), button(CANCEL, "Cancel", rotation.id)),
        context(f"Waiting for you until {when(rotation.expires_at)}", rotation_id(rotation)),
    ]
    return Message(f"Rotate the tokens of {escape(rotation.group)}? Confirm or cancel.", tuple(blocks))


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


def _last(last: Rotation | None) -> str:
    if last is None or last.started_at is None:
        return "This bot has not rotated this group before."
    if last.state is State.ROTATING:
        return f":hourglass_flowing_sand: *Being rotated right now* by {who(last.requester)}, {when(last.started_at)}."
    by = f"{when(last.started_at)} by {who(last.requester)}"
    if last.state is not State.UNKNOWN:
        return f"Last rotated {by}."
    judged = "" if last.resolved_as is None else f", judged {last.resolved_as}"
    return f"Last attempt {by} (outcome unknown{judged})."
