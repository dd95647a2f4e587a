"""The failures of Turso and Slack that a person can switch on."""

from dataclasses import dataclass

from bot.sandbox.faults import Fault, FixedResponse, Hang
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso

_SLOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class FailureMode:
    """One failure: its label and description for people, and the fault of a rotation (`None`: no fault)."""

    label: str
    about: str
    fault: Fault | None = None
    loses_replies: bool = False


def _error(status: int, message: str) -> FixedResponse:
    return FixedResponse(status, f'{{"error": "{message}"}}'.encode())


FAILURE_MODES: dict[str, FailureMode] = {
    "none": FailureMode("No failure", "Everything works."),
    "slow": FailureMode("Turso is slow", "It answers a rotation after 3 seconds.", Fault(delay=_SLOW_SECONDS)),
    "hangs": FailureMode("Turso hangs", "It rotates the tokens, but never answers.", Hang()),
    "500": FailureMode("Turso answers 500", "It rotates the tokens, then fails.", _error(500, "internal server error")),
    "401": FailureMode("Turso answers 401", "The bot's API token was revoked.", _error(401, "token is expired")),
    "404": FailureMode(
        "Turso answers 404", "The group was deleted after the card was shown.", _error(404, "group not found")
    ),
    "replies": FailureMode("Slack drops replies", "What the bot posts to a response_url is lost.", loses_replies=True),
}


def apply(mode: str, slack: LocalSlack, turso: LocalTurso) -> None:
    """Replace the current failure by another one; "none" ends it. Raises `KeyError` for an unknown mode."""
    chosen = FAILURE_MODES[mode]
    turso.clear_faults()
    slack.clear_faults()
    if chosen.fault is not None:
        turso.inject(chosen.fault)
    if chosen.loses_replies:
        slack.fail("response_url", drop=True)
