"""What the bot says when a request has ended, as pure functions from the rotation to what Slack shows."""

from typing import assert_never

from bot.domain.models import Head, Rotation, State
from bot.slack.blocks import Block, Message, code, context, escape, header, quoted, said, section, when, who
from bot.slack.rotate.card import SEPARATE, rotating


def ended(rotation: Rotation) -> Message:  # noqa: PLR0911 - one for each state
    """Say what became of a request, and what to do next: what the card turns into."""
    match rotation.state:
        case State.SUCCEEDED:
            return _succeeded(rotation)
        case State.FAILED:
            return _failed(rotation)
        case State.UNKNOWN:
            return _resolved(rotation) if _is_judged(rotation) else _unknown(rotation)
        case State.CANCELLED:
            return _closed(
                rotation, f":no_entry_sign: Cancelled. The tokens of {code(rotation.group)} were not touched."
            )
        case State.EXPIRED:
            again = f"Nothing was called. To ask again: {code(f'/turso-rotate {rotation.group}')}"
            return _closed(rotation, f":alarm_clock: The request to rotate {code(rotation.group)} expired. {again}")
        case State.ROTATING:
            return rotating(rotation)
        case State.REQUESTED:
            return _closed(rotation, f"The request to rotate {code(rotation.group)} still waits.")
        case _:
            assert_never(rotation.state)


def announcement(rotation: Rotation, head: Head | None) -> Message:
    """Tell the channel who did what, what came of it, and how far the audit trail reaches now."""
    text = _judged(rotation) if _is_judged(rotation) else _told(rotation)
    blocks = [section(text), *_explanation(rotation), *_note(rotation)]
    if rotation.reason:
        blocks.append(quoted("Reason", rotation.reason))
    anchor = [] if head is None else [f"Audit trail {code(str(head))}"]
    return Message(text, (*blocks, context(_id(rotation), *anchor)))


def _told(rotation: Rotation) -> str:
    words = {
        State.SUCCEEDED: ":white_check_mark: {who} rotated the tokens of {group} in {organization}. "
        "Tokens minted for the group before no longer work; services need new ones.",
        State.FAILED: ":x: {who} tried to rotate the tokens of {group} in {organization}. It failed, "
        "and nothing was changed.",
        State.UNKNOWN: ":warning: {who} asked to rotate the tokens of {group} in {organization}, and *it is not known "
        "whether that happened*. Check whether services that use the group still work.",
    }[rotation.state]
    return words.format(
        who=who(rotation.requester), group=code(rotation.group), organization=code(rotation.organization)
    )


def _is_judged(rotation: Rotation) -> bool:
    """Say whether a person's word is the last one; what Turso says late outweighs it."""
    return rotation.state is State.UNKNOWN and rotation.resolved_as is not None


def _judged(rotation: Rotation) -> str:
    ended = "succeeded" if rotation.resolved_as is State.SUCCEEDED else "failed, and changed nothing"
    judge = escape(str(rotation.detail.get("judged_by") or "Somebody"))
    return (
        f":scales: {judge} judged that the rotation of {code(rotation.group)} in {code(rotation.organization)}, which "
        f"{who(rotation.requester)} asked for, {ended}. That is a person's judgement: Turso itself never said so."
    )


def _succeeded(rotation: Rotation) -> Message:
    return Message(
        f"The tokens of {escape(rotation.group)} are rotated.",
        (
            header(f"Done: the tokens of {rotation.group} are rotated"),
            section(
                f"Every token minted for the group {code(rotation.group)} in {code(rotation.organization)} before now "
                "has stopped working.\n*Next:* mint a new token and redeploy every service that used an old one:\n"
                f"```turso group tokens create {escape(rotation.group)}```"
            ),
            section(f"{SEPARATE} For those: `turso db tokens invalidate &lt;database&gt;`"),
            context(_id(rotation)),
        ),
    )


def _failed(rotation: Rotation) -> Message:
    return Message(
        f"Rotating the tokens of {escape(rotation.group)} failed. Nothing was changed.",
        (
            header(f"Failed: the tokens of {rotation.group} were not rotated"),
            section("*Nothing was changed.* The old tokens still work, and it is safe to try again."),
            *_explanation(rotation),
            context(_id(rotation)),
        ),
    )


def _unknown(rotation: Rotation) -> Message:
    again = code(f"/turso-rotate {rotation.group}")
    return Message(
        f"It is not known whether the tokens of {escape(rotation.group)} were rotated.",
        (
            header(f"Unknown: the tokens of {rotation.group} may be rotated"),
            section(
                "The request may have gone out, and no clear answer is on record. The old tokens may be dead or alive; "
                "the bot will *not* try again by itself, as a second rotation ends the tokens minted after the first."
            ),
            *_explanation(rotation),
            section(
                "*To find out:* connect with a token minted before "
                f"{when(rotation.started_at or rotation.requested_at)}. Refused: the rotation happened, so mint new "
                "tokens and redeploy. Still accepted: it did not.\n"
                f"*To rotate again on purpose:* {again}. It also ends tokens minted in the meantime."
            ),
            context(_id(rotation)),
        ),
    )


def _resolved(rotation: Rotation) -> Message:
    rotated = "were rotated" if rotation.resolved_as is State.SUCCEEDED else "were not rotated"
    return Message(
        f"The tokens of {escape(rotation.group)} {rotated}, as a person judged.",
        (
            header(f"Judged: the tokens of {rotation.group} {rotated}"),
            section(_judged(rotation)),
            *_note(rotation),
            context(_id(rotation)),
        ),
    )


def _closed(rotation: Rotation, text: str) -> Message:
    return said(text, context(_id(rotation)))


def _explanation(rotation: Rotation) -> list[Block]:
    explanation = rotation.detail.get("explanation")
    return [quoted("What happened", explanation)] if isinstance(explanation, str) and explanation else []


def _note(rotation: Rotation) -> list[Block]:
    note = rotation.detail.get("note")
    return [quoted("Note", note)] if _is_judged(rotation) and isinstance(note, str) and note else []


def _id(rotation: Rotation) -> str:
    return f"Rotation {code(rotation.id)}"
