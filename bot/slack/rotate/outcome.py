"""How a request ended: what its card becomes and what the channel is told, as pure functions of the rotation."""

from typing import assert_never

from bot.domain.by_hand import rotate_databases, rotate_group
from bot.domain.events import TrailHead
from bot.domain.models import Rotation
from bot.domain.states import State
from bot.slack.blocks import Block, Message, code, context, escape, header, message, quoted, section, when, who
from bot.slack.rotate.card import DATABASE_TOKENS, rotating, rotation_id

_ANNOUNCED = {
    State.SUCCEEDED: ":white_check_mark: {who} rotated the tokens of {group} in {organization}. "
    "Tokens minted for the group before that are invalid; services need new ones.",
    State.FAILED: ":x: {who} tried to rotate the tokens of {group} in {organization}. It failed; nothing was changed.",
    State.UNKNOWN: ":warning: {who} tried to rotate the tokens of {group} in {organization}. *Whether that happened is "
    "unknown.* Check whether services that use the group still work.",
}

_UNSAVED = (
    "*This is not saved yet*, because the database does not take it. I will keep trying; if I am stopped before that, "
    "the record will say *unknown*."
)


def ended(rotation: Rotation) -> Message:
    """Return what the card becomes: how the request ended, and what to do next."""
    match rotation.state:
        case State.SUCCEEDED:
            return _succeeded(rotation)
        case State.FAILED:
            return _failed(rotation)
        case State.UNKNOWN:
            return _judged(rotation) if _is_judged(rotation) else _unknown(rotation)
        case State.ROTATING:
            return rotating(rotation)
        case State.REQUESTED | State.CANCELLED | State.EXPIRED | State.SUPERSEDED:
            return message(_uncalled(rotation), context(rotation_id(rotation)))
        case _:
            assert_never(rotation.state)


def unsaved(rotation: Rotation) -> Message:
    """Return what the card becomes while this process alone knows how the request ended."""
    known = ended(rotation)
    return Message(known.text, (*known.blocks[:1], section(_UNSAVED), *known.blocks[1:]))


def announcement(rotation: Rotation, head: TrailHead | None) -> Message:
    """Tell the channel who did what, how it ended, and the newest row of the audit trail."""
    text = _judgement(rotation) if _is_judged(rotation) else _announced(rotation)
    blocks = [section(text), *_explanation(rotation), *_note(rotation)]
    blocks += _reason(rotation)
    anchor = [] if head is None else [f"Audit trail {code(str(head))}"]
    return Message(text, (*blocks, context(rotation_id(rotation), *anchor)))


def _announced(rotation: Rotation) -> str:
    return _ANNOUNCED[rotation.state].format(
        who=who(rotation.requester), group=code(rotation.group), organization=code(rotation.organization)
    )


def _is_judged(rotation: Rotation) -> bool:
    """Return whether a person's judgement is the last word; a late answer from Turso outweighs it."""
    return rotation.state is State.UNKNOWN and rotation.resolved_as is not None


def _judgement(rotation: Rotation) -> str:
    ended = "succeeded" if rotation.resolved_as is State.SUCCEEDED else "failed, and changed nothing"
    judge = escape(str(rotation.detail.get("resolved_by") or "Somebody"))
    return (
        f":scales: {judge} judged that the rotation of {code(rotation.group)} in {code(rotation.organization)}, "
        f"requested by {who(rotation.requester)}, {ended}. This is a person's judgement: Turso never confirmed it."
    )


def _succeeded(rotation: Rotation) -> Message:
    at = when(rotation.started_at or rotation.requested_at, seconds=True)
    return Message(
        f"The tokens of {escape(rotation.group)} are rotated.",
        (
            header(f"Done: the tokens of {rotation.group} are rotated"),
            section(
                f"Turso confirmed it: tokens minted for the group {code(rotation.group)} in "
                f"{code(rotation.organization)} before {at} are invalid. Turso does not say how soon each of its "
                "servers refuses them.\n*Next:* mint a new token and redeploy every service that used an old one:\n"
                f"```turso group tokens create {escape(rotation.group)}```"
            ),
            section(f"{DATABASE_TOKENS}{_databases(rotation)}"),
            *_reason(rotation),
            context(rotation_id(rotation)),
        ),
    )


def _databases(rotation: Rotation) -> str:
    """Return how to rotate the keys of the group's databases."""
    command, more = rotate_databases(rotation)
    rest = f" {more} more are in the group: {code('turso db list')} lists them." if more else ""
    return f" To rotate those too:\n```{command}```{rest}" if command else ""


def _failed(rotation: Rotation) -> Message:
    group = escape(rotation.group)
    return Message(
        f"Rotating the tokens of {group} failed. Nothing was changed by this attempt.",
        (
            header(f"Failed: the tokens of {rotation.group} were not rotated"),
            section(
                "*Nothing was changed* by this attempt. Unless somebody else has closed it, the leak is still open."
            ),
            *_explanation(rotation),
            section(_after_failure(rotation)),
            *_reason(rotation),
            context(rotation_id(rotation)),
        ),
    )


def _after_failure(rotation: Rotation) -> str:
    again = code(f"/turso-rotate {rotation.group}")
    commands = rotate_group(rotation)
    if not commands:
        return f"*Next:* look for the right name with {code('turso group list')}, and type the command again."
    return (
        f"*Next:* try again with {again}, or close the leak without the bot, with one of these:\n```{commands}```\n"
        f"Then record it: {code(f'turso-rotate audit note {rotation.group} --note TEXT')}"
    )


def _unknown(rotation: Rotation) -> Message:
    again = code(f"/turso-rotate {rotation.group}")
    at = when(rotation.started_at or rotation.requested_at, seconds=True)
    return Message(
        f"Whether the tokens of {escape(rotation.group)} were rotated is unknown.",
        (
            header(f"Unknown: the tokens of {rotation.group} may have been rotated"),
            section(
                "The request may have reached Turso, but there is no clear answer on record. *Treat the leak as open.* "
                "I will *not* try again by myself: a second rotation would also end tokens minted after the first one."
            ),
            *_explanation(rotation),
            section(
                f"*To find out:* connect with a token minted for the group before {at} that has not expired. If it is "
                "refused, the group's key was rotated, by this attempt or another: mint new tokens and redeploy. "
                "If it is accepted, nothing is proved: Turso may take an hour.\n"
                f"*To rotate again on purpose:* {again}. That also ends tokens minted in the meantime."
            ),
            context(rotation_id(rotation)),
        ),
    )


def _judged(rotation: Rotation) -> Message:
    rotated = "were rotated" if rotation.resolved_as is State.SUCCEEDED else "were not rotated"
    return Message(
        f"Somebody judged that the tokens of {escape(rotation.group)} {rotated}.",
        (
            header(f"Judged: the tokens of {rotation.group} {rotated}"),
            section(_judgement(rotation)),
            *_note(rotation),
            context(rotation_id(rotation)),
        ),
    )


def _uncalled(rotation: Rotation) -> str:
    """Describe a request for which nothing was called."""
    group, again = code(rotation.group), code(f"/turso-rotate {rotation.group}")
    match rotation.state:
        case State.CANCELLED:
            return f":no_entry_sign: Cancelled. The tokens of {group} were not touched."
        case State.EXPIRED:
            return (
                f":alarm_clock: The request to rotate {group} expired. Nothing was done. To request it again: {again}"
            )
        case State.SUPERSEDED:
            newer = code(str(rotation.detail.get("superseded_by")))
            text = f":arrows_counterclockwise: Nothing was done: the request {newer} took the place of this one."
            return f"{text} To see what is current: {again}"
        case _:
            return f"The request to rotate {group} is still waiting for confirmation."


def _explanation(rotation: Rotation) -> list[Block]:
    explanation = rotation.detail.get("explanation")
    return [quoted("What happened", explanation)] if isinstance(explanation, str) and explanation else []


def _reason(rotation: Rotation) -> list[Block]:
    return [quoted("Reason", rotation.reason)] if rotation.reason else []


def _note(rotation: Rotation) -> list[Block]:
    note = rotation.detail.get("note")
    return [quoted("Note", note)] if _is_judged(rotation) and isinstance(note, str) and note else []
