"""The troubles that a person can switch on, and what each does to Slack or Turso."""

from dataclasses import dataclass

from bot.sandbox.faults import Answers, Fault, Hangs
from bot.sandbox.local_slack import LocalSlack
from bot.sandbox.local_turso import LocalTurso

_SLOW_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class BadDay:
    """One trouble: what Turso does to a rotation (`None`: nothing unusual), and how to tell people."""

    label: str
    about: str
    fault: Fault | None = None
    loses_replies: bool = False


def _says(status: int, words: str) -> Answers:
    return Answers(status, f'{{"error": "{words}"}}'.encode())


BAD_DAYS: dict[str, BadDay] = {
    "none": BadDay("No trouble", "Everything works."),
    "slow": BadDay("Turso is slow", "It answers a rotation after 3 seconds.", Fault(delay=_SLOW_SECONDS)),
    "hangs": BadDay("Turso hangs", "It rotates, and never says so.", Hangs()),
    "500": BadDay("Turso answers 500", "It rotates, and then falls over.", _says(500, "internal server error")),
    "401": BadDay("Turso answers 401", "The bot's API token was revoked.", _says(401, "token is expired")),
    "404": BadDay("Turso answers 404", "The group went away after the card.", _says(404, "group not found")),
    "replies": BadDay("Slack drops replies", "What the bot posts to response_url is lost.", loses_replies=True),
}


def befall(trouble: str, slack: LocalSlack, turso: LocalTurso) -> None:
    """Let one trouble begin and any other end; "none" ends all. Raises `KeyError` for an unknown one."""
    day = BAD_DAYS[trouble]
    turso.heals()
    slack.heals()
    if day.fault is not None:
        turso.trouble(day.fault)
    if day.loses_replies:
        slack.fail("response_url", drop=True)
