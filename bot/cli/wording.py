"""What a rotation at a terminal says: pure functions that return lines."""

from collections.abc import Iterator
from datetime import datetime

from bot.domain.by_hand import rotate_databases, rotate_group
from bot.domain.models import GroupWorld, Rotation
from bot.domain.requests import ConfirmationPrompt
from bot.domain.states import State
from bot.domain.text import escaped


def question(prompt: ConfirmationPrompt) -> Iterator[str]:
    """Say what is to be confirmed, a line at a time."""
    rotation, databases = prompt.rotation, prompt.rotation.databases
    if prompt.instead_of is not None:
        yield "Nothing was rotated: what was said about this group is no longer true."
    yield f"Rotate the tokens of {rotation.group} in {rotation.organization}?"
    yield from _past(prompt.world)
    yield "Every token minted for the group will stop working, and services fail until they get new ones."
    yield "Tokens minted for a single database normally stay valid. Only in legacy groups, one key signs them all."
    if prompt.info.exists is None:
        yield "Could not ask Turso whether this group exists."
    if databases is None:
        yield "Could not list the group's databases."
    else:
        yield f"Databases in the group: {databases.count} ({', '.join(map(escaped, databases.names)) or 'none'})"
    yield f"Reason: {escaped(rotation.reason)}"


def _past(world: GroupWorld) -> Iterator[str]:
    last, by_hand = world.last, world.by_hand
    if last is not None and last.started_at is not None:
        doing = {State.ROTATING: "Being rotated right now", State.UNKNOWN: "Outcome unknown: last attempt"}
        yield f"{doing.get(last.state, 'Last rotated')} {_time(last.started_at)} by {escaped(last.requester.user_id)}."
    if by_hand is not None:
        yield f"Rotated by hand {_time(by_hand.at)}, as {escaped(by_hand.noted_by.user_id)} noted."
    for other in world.waiting:
        where = "" if other.requester.in_slack else " at a terminal"
        yield f"{escaped(other.requester.user_id)} also asked for this{where} {_time(other.requested_at)}."
    if last is not None or by_hand is not None:
        is_sure = by_hand is not None or (last is not None and last.state is not State.UNKNOWN)
        yield f"{'Rotating' if is_sure else 'If it happened, rotating'} again also ends the tokens minted since."


def outcome(rotation: Rotation) -> Iterator[str]:
    """Say how a rotation ended, and what to do next, a line at a time."""
    at = _time(rotation.started_at or rotation.requested_at)
    match rotation.state:
        case State.SUCCEEDED:
            yield f"Done: Turso confirmed that the tokens of {rotation.group} minted before {at} are invalid."
            yield f"Next: turso group tokens create {rotation.group}, and redeploy every service that used an old one."
            command, more = rotate_databases(rotation)
            if command:
                yield "Tokens of a single database normally stay valid. To rotate those too:"
                yield command
            if more:
                yield f"{more} more databases are in the group: turso db list"
        case State.FAILED:
            yield f"Failed: the tokens of {rotation.group} were not rotated."
            yield str(rotation.detail.get("explanation", ""))
            yield "The leak is still open, unless somebody else closed it."
            if commands := rotate_group(rotation):
                yield "To rotate it without the bot, run one of these, then turso-rotate audit note:"
                yield commands
            else:
                yield "Look for the right name: turso group list"
        case _:
            yield f"Unknown: the tokens of {rotation.group} may have been rotated at {at}."
            yield str(rotation.detail.get("explanation", ""))
            yield "Treat the leak as open. The bot will not try again by itself: that would also end newer tokens."
            yield f"To find out, connect with an unexpired token minted for the group before {at}. If it is refused,"
            yield "the group's key was rotated, by this attempt or another. If it is accepted, nothing is proved:"
            yield "Turso may take an hour."
    yield f"Rotation {rotation.id}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
