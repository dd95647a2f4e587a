"""All prose of the bot, as pure functions from what happened to what Slack shows."""

from collections.abc import Sequence
from typing import assert_never

from bot.errors import BotError, NoSuchGroup
from bot.models import Actor, ChannelId, GroupName, Rotation, State
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
    section,
    when,
)
from bot.steps import Confirmation

CONFIRM = "rotation:confirm"
CANCEL = "rotation:cancel"

_SHOWN_DATABASES = 5
_SHOWN_GROUPS = 20
_SEPARATE = "Tokens minted for a *single database* are signed separately and are not touched."


def usage(groups: Sequence[GroupName] | None) -> Message:
    """Explain the command, with the groups this person may rotate (`None`: Turso could not be asked)."""
    if groups is None:
        yours = "Which groups you may rotate could not be looked up at Turso right now."
    elif not groups:
        yours = "You are not on the allowlist for any group."
    else:
        more = f" and {len(groups) - _SHOWN_GROUPS} more" if len(groups) > _SHOWN_GROUPS else ""
        yours = "You may rotate " + ", ".join(map(code, groups[:_SHOWN_GROUPS])) + more + "."
    return _message(
        "*How to use* `/turso-rotate`",
        section(
            "`/turso-rotate <group> [reason]` invalidates every token minted for a Turso group, "
            "after you have confirmed it.\nFor example: `/turso-rotate payments key leaked in CI log`".replace(
                "<group>", "&lt;group&gt;"
            )
        ),
        section(yours),
    )


def card(confirmation: Confirmation) -> Message:
    """Ask for the confirmation."""
    rotation = confirmation.rotation
    group, organization = code(rotation.group), code(rotation.organization)
    blocks = [
        header(f"Rotate the tokens of {rotation.group}?"),
        section(
            f"*Every token minted for the group {group} in {organization} stops working at once.* Live connections "
            "drop, and every service that uses such a token fails until it gets a new one."
        ),
        section(_SEPARATE),
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
    return _message(f":hourglass_flowing_sand: Rotating the tokens of {code(rotation.group)}…", context(_id(rotation)))


def in_progress(rotation: Rotation, reader: Actor) -> Message:
    """Say that somebody is rotating already, to a person whose press changes nothing."""
    who = "you" if rotation.requester == reader else _who(rotation.requester)
    since = "" if rotation.started_at is None else f" since {when(rotation.started_at)}"
    until = "" if rotation.lease_until is None else f" At the latest {when(rotation.lease_until)} its outcome is known."
    return _message(
        f"The tokens of {code(rotation.group)} are being rotated{since} by {who}. Your press changed nothing.{until}",
        context(_id(rotation)),
    )


def outcome(rotation: Rotation) -> Message:  # noqa: PLR0911 - one for each state
    """Say what became of a request, and what to do next: what the card turns into."""
    match rotation.state:
        case State.SUCCEEDED:
            return _succeeded(rotation)
        case State.FAILED:
            return _failed(rotation)
        case State.UNKNOWN:
            return _unknown(rotation)
        case State.CANCELLED:
            return _closed(
                rotation, f":no_entry_sign: Cancelled. The tokens of {code(rotation.group)} were not touched."
            )
        case State.EXPIRED:
            again = f"Nothing was called. To ask again: {code(f'/turso-rotate {rotation.group}')}"
            return _closed(rotation, f":alarm_clock: The request to rotate {code(rotation.group)} expired. {again}")
        case State.ROTATING:
            return rotating(rotation)
        case State.REQUESTED:
            return _closed(rotation, f"The request to rotate {code(rotation.group)} still waits.")
        case _:
            assert_never(rotation.state)


def announcement(rotation: Rotation) -> Message:
    """Tell the channel who did what, and what came of it."""
    said = {
        State.SUCCEEDED: ":white_check_mark: {who} rotated the tokens of {group} in {organization}. "
        "Tokens minted for the group before no longer work; services need new ones.",
        State.FAILED: ":x: {who} tried to rotate the tokens of {group} in {organization}. It failed, "
        "and nothing was changed.",
        State.UNKNOWN: ":warning: {who} asked to rotate the tokens of {group} in {organization}, and *it is not known "
        "whether that happened*. Check whether services that use the group still work.",
    }[rotation.state]
    text = said.format(
        who=_who(rotation.requester), group=code(rotation.group), organization=code(rotation.organization)
    )
    blocks = [section(text), *_explanation(rotation)]
    if rotation.reason:
        blocks.append(quoted("Reason", rotation.reason))
    return Message(text, (*blocks, context(_id(rotation))))


def not_announced(channel: ChannelId) -> Message:
    """Tell the requester that the channel could not be told."""
    return _message(f":mute: I could not announce this in <#{channel}>: invite me there, or tell people yourself.")


def refused(error: BotError, actor: Actor, group: GroupName | None) -> Message:
    """Say no, and whom to ask."""
    lines = [f":no_entry: {escape(str(error))} Nothing was done; the attempt is recorded."]
    if group is not None and "allowlist" in str(error):
        command = f"turso-rotate allow add {actor.user_id} --team {actor.team_id} --group {group}"
        lines.append(f"Whoever runs this bot can allow it: {code(command)}")
    return _message("\n".join(lines))


def no_such_group(error: NoSuchGroup) -> Message:
    """Say that Turso does not know the group, with names that come close."""
    text = f":mag: Turso knows no group called {code(error.group)}. Nothing was done."
    if error.similar:
        text += " Did you mean " + " or ".join(map(code, error.similar)) + "?"
    return _message(text)


def explained(error: BotError) -> Message:
    """Show any other failure that has words of its own."""
    return _message(f":warning: {escape(str(error))} Nothing was called at Turso.")


def confused(error: BotError) -> Message:
    """Show what is wrong with what was typed."""
    return _message(f"{escape(str(error))}\nUsage: `/turso-rotate &lt;group&gt; [reason]`")


def bug(reference: str) -> Message:
    """Admit a failure nobody foresaw."""
    return _message(
        f":boom: Something went wrong that should not. Its reference is {code(reference)} in the bot's log. "
        "Look at the history of the group before you try again."
    )


def _succeeded(rotation: Rotation) -> Message:
    return Message(
        f"The tokens of {escape(rotation.group)} are rotated.",
        (
            header(f"Done: the tokens of {rotation.group} are rotated"),
            section(
                f"Every token minted for the group {code(rotation.group)} in {code(rotation.organization)} before now "
                "has stopped working.\n*Next:* mint a new token and redeploy every service that used an old one:\n"
                f"```turso group tokens create {escape(rotation.group)}```"
            ),
            section(f"{_SEPARATE} For those: `turso db tokens invalidate &lt;database&gt;`"),
            context(_id(rotation)),
        ),
    )


def _failed(rotation: Rotation) -> Message:
    return Message(
        f"Rotating the tokens of {escape(rotation.group)} failed. Nothing was changed.",
        (
            header(f"Failed: the tokens of {rotation.group} were not rotated"),
            section("*Nothing was changed.* The old tokens still work, and it is safe to try again."),
            *_explanation(rotation),
            context(_id(rotation)),
        ),
    )


def _unknown(rotation: Rotation) -> Message:
    again = code(f"/turso-rotate {rotation.group}")
    return Message(
        f"It is not known whether the tokens of {escape(rotation.group)} were rotated.",
        (
            header(f"Unknown: the tokens of {rotation.group} may be rotated"),
            section(
                "The request went out, and no complete answer came back. The old tokens may be dead or alive; "
                "the bot will *not* try again by itself, as a second rotation ends the tokens minted after the first."
            ),
            *_explanation(rotation),
            section(
                "*To find out:* connect with a token minted before "
                f"{when(rotation.started_at or rotation.requested_at)}. Refused: the rotation happened, so mint new "
                "tokens and redeploy. Still accepted: it did not.\n"
                f"*To rotate again on purpose:* {again}. It also ends tokens minted in the meantime."
            ),
            context(_id(rotation)),
        ),
    )


def _closed(rotation: Rotation, text: str) -> Message:
    return _message(text, context(_id(rotation)))


def _explanation(rotation: Rotation) -> list[Block]:
    explanation = rotation.detail.get("explanation")
    return [quoted("What happened", explanation)] if isinstance(explanation, str) and explanation else []


def _databases(confirmation: Confirmation) -> Block:
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
    note = " (outcome unknown)" if last.state is State.UNKNOWN else ""
    return f"Last rotated {when(last.started_at)} by {_who(last.requester)}{note}."


def _who(actor: Actor) -> str:
    return f"<@{actor.user_id}>" if actor.in_slack else escape(actor.user_id)


def _id(rotation: Rotation) -> str:
    return f"Rotation {code(rotation.id)}"


def _message(mrkdwn: str, *more: Block) -> Message:
    return Message(mrkdwn, (section(mrkdwn), *more))
