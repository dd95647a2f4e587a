"""What the bot says around a request, as pure functions from what happened to what Slack shows."""

from collections.abc import Sequence

from bot.domain.errors import BotError, NoSuchGroup, Refusal, Refused
from bot.domain.models import Actor, ChannelId, GroupName, Rotation, State
from bot.domain.steps import ConfirmationPrompt
from bot.slack.blocks import (
    Block,
    Message,
    actions,
    button,
    code,
    context,
    escape,
    header,
    quoted,
    said,
    section,
    when,
    who,
)

CONFIRM = "rotation:confirm"
CANCEL = "rotation:cancel"

_SHOWN_DATABASES = 5
_SHOWN_GROUPS = 20
SEPARATE = "Tokens minted for a *single database* are signed separately and are not touched."
"""What people most often get wrong about a rotation."""


def usage(groups: Sequence[GroupName] | None) -> Message:
    """Explain the command, with the groups this person may rotate (`None`: Turso could not be asked)."""
    if groups is None:
        yours = "Which groups you may rotate could not be looked up at Turso right now."
    elif not groups:
        yours = "You are not on the allowlist for any group."
    else:
        more = f" and {len(groups) - _SHOWN_GROUPS} more" if len(groups) > _SHOWN_GROUPS else ""
        yours = "You may rotate " + ", ".join(map(code, groups[:_SHOWN_GROUPS])) + more + "."
    return said(
        "*How to use* `/turso-rotate`",
        section(
            "`/turso-rotate <group> [reason]` invalidates every token minted for a Turso group, "
            "after you have confirmed it.\nFor example: `/turso-rotate payments key leaked in CI log`".replace(
                "<group>", "&lt;group&gt;"
            )
        ),
        section(yours),
    )


def ask(confirmation: ConfirmationPrompt) -> Message:
    """Ask for the confirmation."""
    rotation = confirmation.rotation
    group, organization = code(rotation.group), code(rotation.organization)
    blocks = [
        header(f"Rotate the tokens of {rotation.group}?"),
        section(
            f"*Every token minted for the group {group} in {organization} stops working at once.* Live connections "
            "drop, and every service that uses such a token fails until it gets a new one."
        ),
        section(SEPARATE),
        _databases(confirmation),
        section(_last(confirmation.last)),
    ]
    if confirmation.look.exists is None:
        blocks.append(
            section(":warning: Turso could not be asked whether this group exists. You can rotate all the same.")
        )
    if rotation.reason:
        blocks.append(quoted("Reason", rotation.reason))
    blocks += [
        actions(
            button(CONFIRM, "Rotate tokens", rotation.id, "danger"),
            button(CANCEL, "Cancel", rotation.id),
        ),
        context(f"Waits for you until {when(rotation.expires_at)}", _id(rotation)),
    ]
    return Message(f"Rotate the tokens of {escape(rotation.group)}? Confirm or cancel.", tuple(blocks))


def rotating(rotation: Rotation) -> Message:
    """Say that the call is under way."""
    return said(f":hourglass_flowing_sand: Rotating the tokens of {code(rotation.group)}…", context(_id(rotation)))


def in_progress(rotation: Rotation, reader: Actor) -> Message:
    """Say that somebody is rotating already, to a person whose press changes nothing."""
    whom = "you" if rotation.requester == reader else who(rotation.requester)
    since = "" if rotation.started_at is None else f" since {when(rotation.started_at)}"
    until = "" if rotation.lease_until is None else f" At the latest {when(rotation.lease_until)} its outcome is known."
    return said(
        f"The tokens of {code(rotation.group)} are being rotated{since} by {whom}. Your press changed nothing.{until}",
        context(_id(rotation)),
    )


def not_announced(channel: ChannelId) -> Message:
    """Tell the requester that the channel could not be told yet."""
    return said(
        f":mute: I could not announce this in <#{channel}>. Invite me there, and I will within minutes: "
        "I try again for a day. Until then, tell people yourself."
    )


def refused(error: Refused, actor: Actor) -> Message:
    """Say no, and whom to ask."""
    no = f":no_entry: {escape(str(error))} Nothing was done; the attempt is recorded."
    return said(f"{no}\n{_whom_to_ask(error, actor)}")


def no_such_group(error: NoSuchGroup) -> Message:
    """Say that Turso does not know the group, with names that come close."""
    text = f":mag: Turso knows no group called {code(error.group)}. Nothing was done."
    if error.similar:
        text += " Did you mean " + " or ".join(map(code, error.similar)) + "?"
    return said(text)


def explained(error: BotError) -> Message:
    """Show any other failure that has words of its own."""
    return said(f":warning: {escape(str(error))} Nothing was called at Turso.")


def confused(error: BotError) -> Message:
    """Show what is wrong with what was typed."""
    return said(f"{escape(str(error))}\nUsage: `/turso-rotate &lt;group&gt; [reason]`")


def bug(reference: str) -> Message:
    """Admit a failure nobody foresaw."""
    return said(
        f":boom: Something went wrong that should not. Its reference is {code(reference)} in the bot's log. "
        "Look at the history of the group before you try again."
    )


def _whom_to_ask(error: Refused, actor: Actor) -> str:
    group = error.group or "<group>"
    match error.refusal:
        case Refusal.NOT_ALLOWED:
            command = f"turso-rotate allow add {actor.user_id} --team {actor.team_id} --group {group}"
            return f"Whoever runs this bot can allow it: {code(command)}"
        case Refusal.NO_TOKEN:
            return f"Whoever runs this bot can set one for this group in {code('TURSO_GROUP_TOKENS')}."
        case Refusal.OWN_DATABASE:
            command = code(f"turso group tokens invalidate {group}")
            return (
                "Whoever runs this bot can move its database out of the group. If that cannot wait, they can rotate "
                f"with {command}, and then give the bot new access to its database."
            )
        case Refusal.OTHER_WORKSPACE:
            return "Ask somebody of the workspace that runs this bot."
        case Refusal.NOT_YOURS:
            return f"Whoever may rotate it can ask anew: {code('/turso-rotate <group>')}"
        case _:
            return "Whoever runs this bot can tell you more."


def _databases(confirmation: ConfirmationPrompt) -> Block:
    names = confirmation.look.databases
    if names is None:
        return section("Which databases are in the group could not be looked up.")
    if not names:
        return section("No database is in the group.")
    shown = ", ".join(map(code, names[:_SHOWN_DATABASES])) + (", …" if len(names) > _SHOWN_DATABASES else "")
    return section(f"*{len(names)} database{'s' if len(names) > 1 else ''}* in the group: {shown}")


def _last(last: Rotation | None) -> str:
    if last is None or last.started_at is None:
        return "This bot has not rotated this group before."
    if last.state is State.ROTATING:
        return f":hourglass_flowing_sand: *Being rotated right now* by {who(last.requester)}, {when(last.started_at)}."
    judged = "" if last.resolved_as is None else f", judged {last.resolved_as}"
    note = f" (outcome unknown{judged})" if last.state is State.UNKNOWN else ""
    return f"Last rotated {when(last.started_at)} by {who(last.requester)}{note}."


def _id(rotation: Rotation) -> str:
    return f"Rotation {code(rotation.id)}"
