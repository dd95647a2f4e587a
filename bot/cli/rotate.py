"""`rotate`: rotate a group from a terminal, when Slack or the bot is down."""

from typing import Annotated

import typer

from bot.cli.options import GroupArgument, masked
from bot.config import Settings, load
from bot.domain.errors import UsageError
from bot.domain.models import GroupName, Request
from bot.domain.names import GROUP_NAME
from bot.domain.text import kept
from bot.ops import log

ReasonOption = Annotated[str, typer.Option(metavar="TEXT", callback=masked, help="Why. It is recorded and announced.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask to type the group's name.")]


def rotate_group(group: GroupArgument, *, reason: ReasonOption, yes: YesOption = False) -> None:
    """Rotate a group's tokens without Slack.

    It needs the settings of `serve`, and no grant. Everything else is as in Slack: request, confirmation and outcome
    are recorded, Turso is called at most once, and the outcome is announced.
    """
    settings = load(Settings)
    # What happens is printed: at this level, the log would only say the same again in between.
    level = "warning" if settings.log_level == "info" else settings.log_level
    log.configure(level, settings.log_format, settings.secrets())
    reason = kept(reason)
    if not GROUP_NAME.fullmatch(group):
        raise UsageError("Give a group name, not a pattern.")
    if not reason:
        raise UsageError("Say in --reason why; it is recorded and announced.")
    from bot.cli.conversation import rotate  # noqa: PLC0415 - imports what serving needs, which takes a second

    if not rotate(settings, Request(GroupName(group), reason), yes=yes):
        raise typer.Exit(1)
