"""Confirm a rotation on a terminal, carry it out, and print how it ended."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import datetime

import typer

from bot.app.terminal import Terminal, open_terminal
from bot.cli.operator import operator
from bot.config import Settings
from bot.domain.by_hand import rotate_databases, rotate_group
from bot.domain.models import AT_TERMINAL, GroupWorld, Request, Rotation, SlackContext
from bot.domain.recording import Claimed
from bot.domain.requests import ConfirmationPrompt
from bot.domain.states import State
from bot.domain.text import escaped

_RECORD_SECONDS = 30.0
_CONTEXT = SlackContext(AT_TERMINAL)


def rotate(settings: Settings, request: Request, *, yes: bool) -> bool:
    """Rotate the group if it is confirmed; return whether Turso confirmed it. Raises `BotError`."""
    # As after Ctrl-C: what is known of the call is still recorded.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            terminal = runner.run(stack.enter_async_context(open_terminal(settings)))
            claimed = _claimed(runner, terminal, request, yes=yes)
            return claimed is not None and _carried_out(runner, terminal, claimed)
        finally:
            runner.run(stack.aclose())


def _claimed(runner: asyncio.Runner, terminal: Terminal, request: Request, *, yes: bool) -> Claimed | None:
    """Ask for the confirmation; if that is broken off, record that nothing was sent where a claim may have been."""
    try:
        return _confirmed(runner, terminal, request, yes=yes)
    except BaseException:
        if terminal.has_claim_in_doubt:
            _print("The database did not confirm the start. Waiting until it is clear what it recorded…")
            if not runner.run(terminal.settle(_RECORD_SECONDS)):
                _print("That is still not clear. If the record says unknown later: no rotation was sent.")
        _print("Nothing was rotated.")
        raise


def _confirmed(runner: asyncio.Runner, terminal: Terminal, request: Request, *, yes: bool) -> Claimed | None:
    rotations, actor = terminal.rotations, operator()
    asked: Claimed | ConfirmationPrompt = runner.run(terminal.requests.request(actor, _CONTEXT, request))
    while isinstance(asked, ConfirmationPrompt):
        _print(*_question(asked))
        # What somebody agreed to beforehand is not what the question says now.
        agreed = yes and asked.instead_of is None
        if not agreed and not _typed(asked.rotation):
            runner.run(rotations.cancel(actor, _CONTEXT, asked.rotation.id))
            _print(f"Cancelled. The tokens of {asked.rotation.group} were not touched.")
            return None
        asked = runner.run(rotations.confirm(actor, _CONTEXT, asked.rotation.id))
    return asked


def _typed(rotation: Rotation) -> bool:
    """Ask for the group's name; the end of the input, and Ctrl-C, are a no."""
    try:
        typed = typer.prompt(f"Type {rotation.group} to rotate it", default="", show_default=False, err=True)
    except typer.Abort:
        return False
    return str(typed).strip() == rotation.group


def _carried_out(runner: asyncio.Runner, terminal: Terminal, claimed: Claimed) -> bool:
    _print("Calling Turso…")
    rotation = _ended(runner, terminal, claimed)
    known = rotation or terminal.as_known(claimed)
    typer.echo("\n".join(_outcome(known)))
    if rotation is None:
        judge = f"turso-rotate audit resolve {known.id} --as {known.state} --note TEXT"
        _print("The outcome could not be saved: the record will say unknown.")
        if known.state in {State.SUCCEEDED, State.FAILED}:
            _print(f"Once the database is back: {judge}")
    elif not _announced(runner, terminal, rotation):
        _print("It could not be announced yet; the running bot will keep trying.")
    elif terminal.audit_channel is None:
        _print("Nobody was told in Slack, as AUDIT_CHANNEL is not set: tell people yourself.")
    else:
        _print(f"Announced in {terminal.audit_channel}.")
    return known.state is State.SUCCEEDED


def _ended(runner: asyncio.Runner, terminal: Terminal, claimed: Claimed) -> Rotation | None:
    """Call Turso, and return the rotation as it is recorded; `None` if the outcome could not be recorded in time."""
    try:
        rotation = runner.run(terminal.rotations.carry_out(claimed))
        if not terminal.has_unrecorded(claimed):
            return rotation
        _print("The outcome could not be saved yet. Trying again…")
    except KeyboardInterrupt:
        _print("Interrupted. Recording what is known…")
    try:
        return runner.run(terminal.recorded(claimed, _RECORD_SECONDS))
    except KeyboardInterrupt:
        return None


def _announced(runner: asyncio.Runner, terminal: Terminal, rotation: Rotation) -> bool:
    try:
        return runner.run(terminal.announce(rotation))
    except KeyboardInterrupt:
        return False


def _question(prompt: ConfirmationPrompt) -> Iterator[str]:
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
        yield f"{escaped(other.requester.user_id)} also asked for this {_time(other.requested_at)}, and may confirm it."
    if last is not None or by_hand is not None:
        yield "Rotating again also ends the tokens minted since."


def _outcome(rotation: Rotation) -> Iterator[str]:
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


def _print(*lines: str) -> None:
    typer.echo("\n".join(lines), err=True)
