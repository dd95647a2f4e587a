"""Confirm a rotation on a terminal, carry it out, and print how it ended."""

import asyncio

from bot.app.terminal import Terminal, open_terminal
from bot.cli.console import Console
from bot.cli.database import warn
from bot.cli.operator import operator
from bot.cli.wording import outcome, question
from bot.config import Settings
from bot.domain.by_hand import commands
from bot.domain.errors import BotError, DatabaseError, SettingsError
from bot.domain.models import AT_TERMINAL, Organization, Request, Rotation, SlackContext
from bot.domain.recording import Claimed
from bot.domain.requests import ConfirmationPrompt
from bot.domain.states import State

_RECORD_SECONDS = 30.0
_CONTEXT = SlackContext(AT_TERMINAL)


def rotate(settings: Settings, request: Request, *, yes: bool) -> bool:
    """Rotate the group if it is confirmed; return whether Turso confirmed it. Raises `BotError`."""
    return asyncio.run(_rotate(settings, request, yes=yes))


async def _rotate(settings: Settings, request: Request, *, yes: bool) -> bool:
    console = Console()
    try:
        return await _converse(settings, console, request, yes=yes)
    except (DatabaseError, SettingsError):
        by_hand = commands(Organization(settings.turso_organization), request.group)
        console.say(
            "Nothing is called that cannot be recorded. To rotate it without the bot, run one of these:", by_hand
        )
        raise


async def _converse(settings: Settings, console: Console, request: Request, *, yes: bool) -> bool:
    async with open_terminal(settings) as terminal:
        warn(terminal.forged)
        try:
            claimed = await _claim(terminal, console, request, yes=yes)
        except BotError:
            if terminal.has_claim_in_doubt:
                console.say("The database did not confirm the start. Waiting until it is clear what it recorded…")
                await _settle(terminal, console)
            console.say("Nothing was rotated.")
            raise
        if claimed is None:
            return False
        if console.stopped.is_set():
            console.say("Interrupted. Recording that nothing was sent…")
            terminal.abandon(claimed)
            ended = await console.unless_stopped(terminal.recorded(claimed, _RECORD_SECONDS))
        else:
            ended = await _carry_out(terminal, console, claimed)
        return await _report(terminal, console, claimed, ended)


async def _claim(terminal: Terminal, console: Console, request: Request, *, yes: bool) -> Claimed | None:
    """Ask until it is confirmed, or cancelled. Signals break nothing off: what was begun is ended."""
    actor = operator()
    await terminal.tidy()
    asked: Claimed | ConfirmationPrompt = await terminal.requests.request(actor, _CONTEXT, request)
    while isinstance(asked, ConfirmationPrompt):
        console.say(*question(asked))
        # What somebody agreed to beforehand is not what the question says now.
        agreed = yes and asked.instead_of is None and not console.stopped.is_set()
        if not agreed and not await _is_typed(console, asked):
            await terminal.rotations.cancel(actor, _CONTEXT, asked.rotation.id)
            console.say(f"Cancelled. The tokens of {asked.rotation.group} were not touched.")
            return None
        # The bot may be down: a rotation whose process died must not be in the way once its lease is over.
        await terminal.tidy()
        asked = await terminal.rotations.confirm(actor, _CONTEXT, asked.rotation.id)
    return asked


async def _is_typed(console: Console, asked: ConfirmationPrompt) -> bool:
    """Ask for the group's name; the end of the input, and Ctrl-C, are a no."""
    if asked.instead_of is not None and not console.is_interactive:
        return False  # what was written beforehand answers another question
    group = asked.rotation.group
    return (await console.ask(f"Type {group} to rotate it: ")).strip() == group


async def _settle(terminal: Terminal, console: Console) -> None:
    if not await console.unless_stopped(terminal.settle(_RECORD_SECONDS)):
        console.say("That is still not clear. If the record says unknown later: no rotation was sent.")


async def _report(terminal: Terminal, console: Console, claimed: Claimed, rotation: Rotation | None) -> bool:
    """Print how it ended, and announce it; return whether Turso confirmed it."""
    known = rotation or terminal.as_known(claimed)
    console.print(*outcome(known))
    if rotation is None:
        console.say("The outcome could not be saved: the record will say unknown.")
        if known.state in {State.SUCCEEDED, State.FAILED}:
            judge = f"turso-rotate audit resolve {known.id} --as {known.state} --note TEXT"
            console.say(f"Once the database is back: {judge}")
    elif not await console.unless_stopped(terminal.announce(rotation)):
        console.say("It could not be announced yet; the running bot will keep trying.")
    elif terminal.audit_channel is None:
        console.say("Nobody was told in Slack, as AUDIT_CHANNEL is not set: tell people yourself.")
    else:
        console.say(f"Announced in {terminal.audit_channel}.")
    return known.state is State.SUCCEEDED


async def _carry_out(terminal: Terminal, console: Console, claimed: Claimed) -> Rotation | None:
    """Call Turso, and return the rotation as it is recorded; `None` if the outcome could not be recorded in time."""
    console.say("Calling Turso…")
    call = asyncio.ensure_future(terminal.rotations.carry_out(claimed))
    await console.until_stopped(call)
    if not call.done():
        console.say("Interrupted. Recording what is known…")
        call.cancel()
        await asyncio.wait({call})
    if not call.cancelled() and not terminal.has_unrecorded(claimed):
        return call.result()
    if not call.cancelled():
        console.say("The outcome could not be saved yet. Trying again…")
    return await console.unless_stopped(terminal.recorded(claimed, _RECORD_SECONDS))
