"""The story of a rotation, played on a terminal with the real bot behind, each step checked."""

import asyncio
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from bot.sandbox import scenario
from bot.sandbox.bot_process import BotFailedError
from bot.sandbox.messages import Message
from bot.sandbox.render import plain
from bot.sandbox.sandbox import Stage
from bot.sandbox.workspace import Person

Says = Callable[[str], None]
Step = Callable[["Play"], Awaitable[None]]
_WIDTH = 100
_PATIENCE = 10.0  # seconds for each thing that should be seen
_CALL_SECONDS = 1.0  # so that nobody waits long for a Turso that hangs
_CONFIRM, _CANCEL = "rotation:confirm", "rotation:cancel"


class Play:
    """What the steps act with, and what they found wrong."""

    def __init__(self, stage: Stage, says: Says) -> None:
        self.stage = stage
        self.wrong: list[str] = []
        self._says = says
        self._seen = 0

    def title(self, text: str) -> None:
        """Begin a step."""
        self._says(f"\n── {text} ".ljust(_WIDTH, "─"))

    async def types(self, person: Person, text: str) -> None:
        """Type a command."""
        self._seen = len(self.stage.slack.messages)
        self._says(f"{person.name}: {text}")
        await self.stage.slack.types(person, text)

    async def presses(self, person: Person, card: Message, action: str) -> None:
        """Press a button of a card."""
        element = card.element(action) or {}
        self._says(f"{person.name} presses [{element.get('text', {}).get('text', action)}]")
        await self.stage.slack.presses(person, card, action)

    async def sees(self, person: Person, *needles: str) -> Message:
        """Wait for a message, and print it."""
        message = await self.stage.slack.sees(person, *needles, timeout=_PATIENCE, since=self._seen)
        self._says(_told(f"turso-rotate → {person.name}, only visible to {person.name}", message))
        return message

    async def hears(self, *needles: str) -> None:
        """Wait for an announcement in the channel for it, and print it."""
        message = await self.stage.slack.sees(
            None, *needles, timeout=_PATIENCE, since=self._seen, channel=scenario.AUDIT
        )
        self._says(_told(f"turso-rotate → #{scenario.CHANNELS[scenario.AUDIT]}", message))

    def shows(self, line: str) -> None:
        """Print a fact."""
        self._says(f"   {line}")

    def checks(self, what: str, *, holds: bool) -> None:
        """Say whether something is as it should be."""
        self._says(f"   {'✓' if holds else '✗'} {what}")
        if not holds:
            self.wrong.append(what)

    def calls(self, group: str, number: int) -> None:
        """Check how often Turso was asked to rotate a group."""
        times = "never" if number == 0 else "once" if number == 1 else f"{number} times"
        self.checks(
            f"Turso was asked {times} to rotate {group}", holds=self.stage.turso.calls_to_rotate(group) == number
        )

    def tokens(self, group: str, *, work: bool) -> None:
        """Check whether the services of a group still get in; single databases' tokens always do."""
        for service in self.stage.turso.services:
            if service.group == group:
                expected = work or service.database is not None
                fate = "still works" if service.works else "is refused"
                self.checks(f"the token of {service.name} {fate}", holds=service.works == expected)

    async def recorded(self, *actions: str) -> None:
        """Check that the audit trail ends with these actions."""
        expected = list(actions)
        async with asyncio.timeout(_PATIENCE):
            while self.stage.trail.actions[-len(expected) :] != expected:
                await self.stage.changes(self.stage.version)
        self.checks(f"recorded: {', '.join(actions)}", holds=True)


async def an_allowed_person_rotates(play: Play) -> None:
    """Rotate: an allowed person asks, confirms, and reads the outcome."""
    await play.types(scenario.ALICE, "/turso-rotate payments key leaked in CI log")
    card = await play.sees(scenario.ALICE, "Rotate the tokens of payments?", "key leaked in CI log", "2 databases")
    play.checks("nobody else sees the card", holds=card not in play.stage.slack.visible_to(scenario.BOB))
    play.calls("payments", 0)
    await play.presses(scenario.ALICE, card, _CONFIRM)
    done = await play.sees(scenario.ALICE, "Done: the tokens of payments are rotated")
    play.checks("the card became the outcome, without buttons", holds=done is card and not done.buttons)
    await play.hears("rotated the tokens of", "key leaked in CI log")
    play.calls("payments", 1)
    play.tokens("payments", work=False)
    await play.recorded("rotation.requested", "rotation.started", "rotation.succeeded")


async def a_stranger_is_refused(play: Play) -> None:
    """Refuse: a stranger asks, and the attempt is recorded."""
    await play.types(scenario.MALLORY, "/turso-rotate analytics just curious")
    await play.sees(scenario.MALLORY, "not on the allowlist", "the attempt is recorded")
    play.calls("analytics", 0)
    await play.recorded("rotation.denied")


async def somebody_changes_their_mind(play: Play) -> None:
    """Cancel: somebody allowed for one group only asks for it, and changes their mind."""
    await play.types(scenario.BOB, "/turso-rotate default")
    card = await play.sees(scenario.BOB, "Rotate the tokens of default?")
    await play.presses(scenario.BOB, card, _CANCEL)
    await play.sees(scenario.BOB, "Cancelled")
    play.calls("default", 0)
    await play.recorded("rotation.requested", "rotation.cancelled")


async def turso_hangs(play: Play) -> None:
    """Admit: Turso never answers, the outcome is unknown, and nothing is tried again."""
    play.stage.sets_trouble("hangs")
    await play.types(scenario.ALICE, "/turso-rotate analytics")
    card = await play.sees(scenario.ALICE, "Rotate the tokens of analytics?")
    await play.presses(scenario.ALICE, card, _CONFIRM)
    await play.sees(scenario.ALICE, "Unknown: the tokens of analytics may be rotated", "not")
    await play.hears("not known whether")
    play.stage.sets_trouble("none")
    play.calls("analytics", 1)
    await play.recorded("rotation.requested", "rotation.started", "rotation.unknown")


async def the_trail_tells(play: Play) -> None:
    """Remember: everything that was tried stands in the audit trail."""
    for event in play.stage.trail.events:
        who = play.stage.slack.workspace.names.get(event["user_id"], event["user_id"])
        play.shows(f"{event['seq']:>3}  {event['action']:<20} {who:<10} {event['group'] or ''}")
    seqs = [event["seq"] for event in play.stage.trail.events]
    play.checks("no number is missing", holds=seqs == list(range(1, len(seqs) + 1)))


STORY: tuple[Step, ...] = (
    an_allowed_person_rotates,
    a_stranger_is_refused,
    somebody_changes_their_mind,
    turso_hangs,
    the_trail_tells,
)


async def play(says: Says, keep: Path | None = None, story: tuple[Step, ...] = STORY) -> bool:
    """Play the story; return whether each step was what it should be."""
    says("The real bot, a local Slack and a local Turso: nothing here is real but the bot.")
    async with Stage(keep, call_seconds=_CALL_SECONDS) as stage:
        try:
            await stage.ready()
        except BotFailedError as error:
            says(f"✗ The bot did not start:\n{error}")
            return False
        scene = Play(stage, says)
        for step in story:
            await _performs(scene, step)
    flaws = "; ".join(scene.wrong)
    says(f"\n✗ Not as it should be: {flaws}" if flaws else "\n✓ Each step was what it should be.")
    return not scene.wrong


async def _performs(play: Play, step: Step) -> None:
    summary = (step.__doc__ or step.__name__).strip()
    play.title(summary)
    try:
        await step(play)
    except (AssertionError, TimeoutError) as missing:
        play.checks(f"{summary} {str(missing) or 'It did not happen in time.'}", holds=False)


def _told(how: str, message: Message) -> str:
    return "\n".join([f"{how}:", *_indented(message)])


def _indented(message: Message) -> Iterator[str]:
    said = [block for block in message.blocks if block["type"] != "actions"]
    text = plain("", said, message.names) if said else plain(message.text, [], message.names)
    for line in text.splitlines():
        yield from textwrap.wrap(line, _WIDTH, initial_indent="   │ ", subsequent_indent="   │ ")
    if message.buttons:
        labels = [(message.element(each) or {}).get("text", {}).get("text", each) for each in message.buttons]
        yield "   │ " + " ".join(f"[{label}]" for label in labels)
