"""The options that several commands share, and how their values are read."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from bot.cli.output import OutputFormat, ReportFormat
from bot.domain.errors import UsageError
from bot.domain.events import RECORDED_AS, Action
from bot.domain.history import RECORDED_ALONE, RequestStatus
from bot.domain.names import EXPLICIT
from bot.domain.naming import LOOKS_LIKE_A_TOKEN
from bot.domain.periods import Period, moment
from bot.domain.secrets import mask
from bot.domain.states import State


def masked(text: str) -> str:
    """Return what somebody typed without what looks like a token, and tell them; a callback of options."""
    kept = mask(text)
    if kept != text:
        typer.echo(
            "You typed something that looks like a token. It was masked before anything was recorded; "
            "your shell may have kept it: treat it as leaked.",
            err=True,
        )
    return kept


def not_a_token(group: str | None) -> str | None:
    """Return a typed group or pattern, unless it looks like a token. Raises `UsageError`; a callback of arguments."""
    if group is None:
        return None
    if mask(group) != group:
        raise UsageError(f"{LOOKS_LIKE_A_TOKEN} Your shell may have kept it: if it is a token, treat it as leaked.")
    return group.removeprefix(EXPLICIT)


FormatOption = Annotated[OutputFormat, typer.Option("--format", help="The output format.")]
ReportFormatOption = Annotated[ReportFormat, typer.Option("--format", help="The output format.")]
GroupOption = Annotated[str | None, typer.Option(metavar="GROUP", help="Only this group, like payments.")]
_ROTATION = typer.Argument(metavar="ROTATION", help="The rotation's ID, as the bot's messages show it.")
RotationArgument = Annotated[str, _ROTATION]
OptionalRotationArgument = Annotated[str | None, _ROTATION]
UserOption = Annotated[
    str | None, typer.Option(metavar="USER", help="Only this user: a Slack ID like U024BE7LH, or an account name.")
]
ActionOption = Annotated[
    str | None, typer.Option(metavar="ACTION", help="Only this action, like succeeded or rotation.denied.")
]
GroupArgument = Annotated[
    str, typer.Argument(metavar="GROUP", callback=not_a_token, help="The group's name at Turso, like payments.")
]
OutcomeOption = Annotated[
    RequestStatus | None, typer.Option(metavar="OUTCOME", help=f"Only this outcome: {', '.join(RequestStatus)}.")
]
PeriodOption = Annotated[
    str | None,
    typer.Option(
        metavar="PERIOD", help="Only this period (UTC): 30m, 7d, yesterday, 2026-10-01 or 2026-10-01..2026-10-31."
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only from this time on: 30m or 7d (ago), 2026-10-01 or 2026-10-01T08:00:00Z."),
]
UntilOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only before this time; written like the value of --since.")
]


def examples(*commands: str) -> str:
    """Return the end of a help text: example commands, one a line."""
    return "\n".join(
        ["\b", f"Example{'s' if len(commands) > 1 else ''}:", *(f"  turso-rotate {each}" for each in commands)]
    )


def parse_range(period: str | None, since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the first instant of the range and the first one after it, `None` for an open end.

    Raises `UsageError`.
    """
    now = datetime.now(UTC)
    if period is None:
        return moment(since, now) if since else None, moment(until, now) if until else None
    if since or until:
        raise UsageError("Use either --period, or --since and --until, not both.")
    return Period.parse(period).between(now)


def parse_action(name: str | None, outcome: RequestStatus | None) -> Action | None:
    """Return the action with this name, or the one that leads to this outcome. Raises `UsageError`."""
    if outcome is None and not name:
        return None
    if outcome is not None:
        if name:
            raise UsageError("Use either --outcome or --action, not both.")
        return RECORDED_ALONE.get(outcome) or RECORDED_AS[State(outcome)]
    named = [action for action in Action if name in {action, action.partition(".")[2]}]
    if len(named) == 1:
        return named[0]
    raise UsageError(f"{name} is {' or '.join(named)}: write which." if named else f"The actions: {', '.join(Action)}.")
