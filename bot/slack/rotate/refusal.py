"""Why nothing happened, and whom to ask: messages as pure functions of the error."""

from collections.abc import Sequence

from bot.domain.errors import AlreadyDecided, BotError, NoSuchGroup, NoSuchRotation, NotAGroup, Refused, UsageError
from bot.domain.models import Actor, GroupName
from bot.domain.refusals import Refusal
from bot.slack.blocks import Message, code, escape, message
from bot.slack.errors import UnexpectedError
from bot.slack.rotate import card
from bot.slack.rotate.card import DATABASE_TOKENS

NOTHING, THIS_PRESS = "Nothing was rotated.", "This press rotated nothing."
"""What a failure proves: a command opens a request at most, but another press may have rotated, or be doing so."""
_NO_SUCH_ROTATION = (
    "This database has no rotation with this ID: another deployment made it, or the database was restored without it."
)


def words(error: BotError, reader: Actor, proved: str = NOTHING) -> Message:  # noqa: PLR0911 - one for each kind
    """Return what to say about any error of `/turso-rotate` and its buttons."""
    match error:
        case AlreadyDecided():
            return card.in_progress(error.rotation, reader)
        case NoSuchGroup():
            return no_such_group(error)
        case NoSuchRotation():
            return other_failure(BotError(_NO_SUCH_ROTATION), proved)
        case Refused():
            return refused(error, reader, "Nothing was done" if proved == NOTHING else proved.rstrip("."))
        case UsageError():
            return misunderstood(error)
        case UnexpectedError():
            return bug(error, proved)
        case _:
            return other_failure(error, proved)


def refused(error: Refused, actor: Actor, proved: str = "Nothing was done") -> Message:
    """Refuse, and name whom to ask."""
    no = f":no_entry: {escape(str(error))} {proved}; the attempt is recorded."
    return message(f"{no}\n{_whom_to_ask(error, actor)}{did_you_mean(error.similar)}")


def no_such_group(error: NoSuchGroup) -> Message:
    """Report that the group does not exist, and suggest what may be meant."""
    if error.holder is not None:
        holder, command = code(error.holder), code(f"/turso-rotate {error.holder}")
        text = f":mag: {code(error.group)} is a database in the group {holder}, not a group. Nothing was done."
        return message(f"{text}\nTo rotate that group: {command}. {DATABASE_TOKENS}")
    return message(
        f":mag: Turso has no group called {code(error.group)}. Nothing was done.{did_you_mean(error.similar)}"
    )


def did_you_mean(groups: Sequence[GroupName]) -> str:
    """Suggest groups, as the end of a text."""
    return f" Did you mean {' or '.join(map(code, groups))}?" if groups else ""


def misunderstood(error: BotError) -> Message:
    """Report what is wrong with the command, and how it is written."""
    text = escape(str(error), 600)
    if isinstance(error, NotAGroup):
        text += f" For example: {code(error.example)}." if error.example else ""
        text += did_you_mean(error.similar)
    return message(f"{text}\nUsage: `/turso-rotate &lt;group&gt; [reason]`")


def other_failure(error: BotError, proved: str = NOTHING) -> Message:
    """Report any other failure in its own words, and what it proves."""
    return message(f":warning: {escape(str(error))} {proved}")


def bug(error: UnexpectedError, proved: str = NOTHING) -> Message:
    """Report an unexpected failure. A row that cannot be read is met before anything is called."""
    nothing = f" {proved}" if error.row else ""
    return message(
        f":boom: {escape(str(error))}{nothing} Check the group's history before you try again: `/turso-audit`"
    )


def _whom_to_ask(error: Refused, actor: Actor) -> str:
    group = error.group or "<group>"
    match error.refusal:
        case Refusal.NOT_ALLOWED:
            command = code(f"turso-rotate allow add {actor.user_id} --team {actor.team_id} --group {group}")
            allowing = f"An operator of this bot can allow it: {command}"
            return allowing if error.group else "Check the name, or ask an operator of this bot."
        case Refusal.NO_TOKEN:
            return f"An operator of this bot can set one for this group in {code('TURSO_GROUP_TOKENS')}."
        case Refusal.OWN_DATABASE:
            command = code(f"turso group tokens invalidate {group}")
            return (
                "An operator of this bot can move its database out of the group. If the rotation cannot wait, they can "
                f"run {command}, and then give the bot new access to its database."
            )
        case Refusal.OTHER_WORKSPACE:
            return "Ask somebody in the workspace that runs this bot."
        case Refusal.NOT_YOURS:
            return f"Anyone allowed to rotate it can request it again: {code('/turso-rotate <group>')}"
        case _:
            return "An operator of this bot can tell you more."
