"""A scripted tour of a rotation in the terminal, with the real bot; each step is checked."""

import asyncio
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from bot.sandbox import scenario
from bot.sandbox.bot_process import BotFailedError
from bot.sandbox.messages import PostedMessage
from bot.sandbox.render import render
from bot.sandbox.sandbox import Sandbox
from bot.sandbox.workspace import Person

Print = Callable[[str], None]
Step = Callable[["ScriptRun"], Awaitable[None]]
_WIDTH = 100
_WAIT_SECONDS = 10.0  # for each thing that should appear
_CALL_SECONDS = 1.0  # keeps the step in which Turso hangs short
_CONFIRM, _CANCEL = "rotation:confirm", "rotation:cancel"


class ScriptRun:
    """Act, wait and check on behalf of the steps, and collect failed checks."""

    def __init__(self, sandbox: Sandbox, print_line: Print) -> None:
        self.sandbox = sandbox
        self.failed: list[str] = []
        self._print = print_line
        self._seen = 0

    def title(self, text: str) -> None:
        """Print the title of a step."""
        self._print(f"\n── {text} ".ljust(_WIDTH, "─"))

    async def types(self, person: Person, text: str) -> None:
        """Type a command."""
        self._seen = len(self.sandbox.slack.messages)
        self._print(f"{person.name}: {text}")
        await self.sandbox.slack.types(person, text)

    async def presses(self, person: Person, card: PostedMessage, action: str) -> None:
        """Press a button of a card."""
        element = card.element(action) or {}
        self._print(f"{person.name} presses [{element.get('text', {}).get('text', action)}]")
        await self.sandbox.slack.presses(person, card, action)

    async def sees(self, person: Person, *needles: str) -> PostedMessage:
        """Wait for a message, and print it."""
        message = await self.sandbox.slack.sees(person, *needles, timeout=_WAIT_SECONDS, since=self._seen)
        self._print(_transcript(f"turso-rotate → {person.name} (only visible to {person.name})", message))
        return message

    async def announces(self, *needles: str) -> None:
        """Wait for an announcement in the audit channel, and print it."""
        channel = scenario.AUDIT_CHANNEL
        message = await self.sandbox.slack.sees(
            None, *needles, timeout=_WAIT_SECONDS, since=self._seen, channel=channel
        )
        self._print(_transcript(f"turso-rotate → #{scenario.CHANNELS[channel]}", message))

    def shows(self, line: str) -> None:
        """Print a fact."""
        self._print(f"   {line}")

    def checks(self, claim: str, *, holds: bool) -> None:
        """Print whether a claim holds."""
        self._print(f"   {'✓' if holds else '✗'} {claim}")
        if not holds:
            self.failed.append(claim)

    def checks_calls(self, group: str, number: int) -> None:
        """Check how often Turso was asked to rotate a group."""
        asked = {0: "never asked", 1: "asked once"}.get(number, f"asked {number} times")
        calls = self.sandbox.turso.calls_to_rotate(group)
        self.checks(f"Turso was {asked} to rotate {group}", holds=calls == number)

    def checks_tokens(self, group: str, *, work: bool) -> None:
        """Check which service tokens of a group still work; those of single databases always do."""
        for service in self.sandbox.turso.services:
            if service.group == group:
                expected = work or service.database is not None
                result = "still works" if service.works else "is rejected"
                self.checks(f"the token of {service.name} {result}", holds=service.works == expected)

    async def checks_trail(self, *actions: str) -> None:
        """Check that the audit trail ends with these actions."""
        expected = list(actions)
        async with asyncio.timeout(_WAIT_SECONDS):
            while self.sandbox.trail.actions[-len(expected) :] != expected:
                await self.sandbox.changed(self.sandbox.version)
        self.checks(f"recorded: {', '.join(actions)}", holds=True)


async def an_allowed_person_rotates(run: ScriptRun) -> None:
    """Rotate: an allowed person asks, confirms, and reads the outcome."""
    await run.types(scenario.ALICE, "/turso-rotate payments key leaked in CI log")
    card = await run.sees(scenario.ALICE, "Rotate the tokens of payments?", "key leaked in CI log", "2 databases")
    run.checks("nobody else sees the card", holds=card not in run.sandbox.slack.visible_to(scenario.BOB))
    run.checks_calls("payments", 0)
    await run.presses(scenario.ALICE, card, _CONFIRM)
    done = await run.sees(scenario.ALICE, "Done: the tokens of payments are rotated")
    run.checks("the card became the outcome, without buttons", holds=done is card and not done.buttons)
    await run.announces("rotated the tokens of", "key leaked in CI log")
    run.checks_calls("payments", 1)
    run.checks_tokens("payments", work=False)
    await run.checks_trail("rotation.requested", "rotation.started", "rotation.succeeded")


async def a_stranger_is_refused(run: ScriptRun) -> None:
    """Refuse: a person who is not on the allowlist asks, and the attempt is recorded."""
    await run.types(scenario.MALLORY, "/turso-rotate analytics just curious")
    await run.sees(scenario.MALLORY, "not on the allowlist", "the attempt is recorded")
    run.checks_calls("analytics", 0)
    await run.checks_trail("rotation.denied")


async def a_request_is_cancelled(run: ScriptRun) -> None:
    """Cancel: a person who may rotate one group asks for it, and changes their mind."""
    await run.types(scenario.BOB, "/turso-rotate default")
    card = await run.sees(scenario.BOB, "Rotate the tokens of default?")
    await run.presses(scenario.BOB, card, _CANCEL)
    await run.sees(scenario.BOB, "Cancelled")
    run.checks_calls("default", 0)
    await run.checks_trail("rotation.requested", "rotation.cancelled")


async def turso_hangs(run: ScriptRun) -> None:
    """Report an unknown outcome: Turso never answers, and the bot does not try again."""
    run.sandbox.set_failure_mode("hangs")
    await run.types(scenario.ALICE, "/turso-rotate analytics")
    card = await run.sees(scenario.ALICE, "Rotate the tokens of analytics?")
    await run.presses(scenario.ALICE, card, _CONFIRM)
    await run.sees(scenario.ALICE, "Unknown: the tokens of analytics may have been rotated")
    await run.announces("analytics", "unknown")
    run.sandbox.set_failure_mode("none")
    run.checks_calls("analytics", 1)
    await run.checks_trail("rotation.requested", "rotation.started", "rotation.unknown")


async def the_trail_is_complete(run: ScriptRun) -> None:
    """Record: every attempt is in the audit trail."""
    for event in run.sandbox.trail.events:
        who = run.sandbox.slack.workspace.names.get(event["user_id"], event["user_id"])
        run.shows(f"{event['seq']:>3}  {event['action']:<20} {who:<10} {event['group'] or ''}")
    seqs = [event["seq"] for event in run.sandbox.trail.events]
    run.checks("no number is missing", holds=seqs == list(range(1, len(seqs) + 1)))


STEPS: tuple[Step, ...] = (
    an_allowed_person_rotates,
    a_stranger_is_refused,
    a_request_is_cancelled,
    turso_hangs,
    the_trail_is_complete,
)


async def run_script(print_line: Print, keep: Path | None = None, steps: tuple[Step, ...] = STEPS) -> bool:
    """Run the steps, and return whether all checks passed."""
    print_line("The bot is real; Slack and Turso are local stand-ins.")
    async with Sandbox(keep, call_seconds=_CALL_SECONDS) as sandbox:
        try:
            await sandbox.ready()
        except BotFailedError as error:
            print_line(f"✗ The bot did not start:\n{error}")
            return False
        run = ScriptRun(sandbox, print_line)
        for step in steps:
            await _run_step(run, step)
    failed = "; ".join(run.failed)
    print_line(f"\n✗ Failed: {failed}" if failed else "\n✓ All checks passed.")
    return not run.failed


async def _run_step(run: ScriptRun, step: Step) -> None:
    summary = (step.__doc__ or step.__name__).strip()
    run.title(summary)
    try:
        await step(run)
    except (AssertionError, TimeoutError) as error:
        run.checks(f"{summary} {str(error) or 'It did not happen in time.'}", holds=False)


def _transcript(heading: str, message: PostedMessage) -> str:
    return "\n".join([f"{heading}:", *_indented(message)])


def _indented(message: PostedMessage) -> Iterator[str]:
    blocks = [block for block in message.blocks if block["type"] != "actions"]
    text = render("", blocks, message.names) if blocks else render(message.text, [], message.names)
    for line in text.splitlines():
        yield from textwrap.wrap(line, _WIDTH, initial_indent="   │ ", subsequent_indent="   │ ")
    if message.buttons:
        labels = [(message.element(each) or {}).get("text", {}).get("text", each) for each in message.buttons]
        yield "   │ " + " ".join(f"[{label}]" for label in labels)
