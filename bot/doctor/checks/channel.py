"""Check that announcements reach the audit channel, and nobody outside the workspace."""

from collections.abc import Mapping
from typing import Any

from bot.doctor.checks.slack import ANNOUNCING
from bot.doctor.context import CheckContext
from bot.doctor.findings import CannotCheck, Check, Finding, failure, ok, skipped, warning

_NO_CHANNEL = "AUDIT_CHANNEL is not set: outcomes are announced in the channel of the command."
_INVITE = "/invite @Turso Rotate"


async def check_channel_reachable(context: CheckContext) -> list[Finding]:
    """Check that the bot can post in the channel."""
    channel = context.settings.audit_channel
    if channel is None:
        fix = "To announce all outcomes in one place, set AUDIT_CHANNEL to the ID of a channel."
        return [skipped(Check.CHANNEL_REACHABLE, _NO_CHANNEL, fix)]
    await context.auth()
    answer = await context.slack.call("conversations.info", channel=channel)
    if answer.error == "channel_not_found":
        found = f"Slack finds no channel {channel}: it does not exist, or it is private and the bot is not in it."
        return [failure(Check.CHANNEL_REACHABLE, found, f"Correct AUDIT_CHANNEL, or type {_INVITE} in the channel.")]
    info = await _channel_info(context)
    name = f"#{info.get('name', channel)}"
    if info.get("is_archived"):
        fix = "Unarchive it, or set AUDIT_CHANNEL to another channel."
        return [failure(Check.CHANNEL_REACHABLE, f"{name} is archived.", fix)]
    if info.get("is_member"):
        return [ok(Check.CHANNEL_REACHABLE, f"The bot is in {name}.")]
    if not info.get("is_private") and ANNOUNCING in await context.scopes():
        return [ok(Check.CHANNEL_REACHABLE, f"The bot is not in {name}, but {ANNOUNCING} lets it post there.")]
    found = f"The bot is not in {name}, so it cannot post announcements there."
    return [failure(Check.CHANNEL_REACHABLE, found, f"Type {_INVITE} in {name}.")]


async def check_channel_shared(context: CheckContext) -> list[Finding]:
    """Check that nobody outside the workspace reads the channel."""
    info = await _channel_info(context)
    name = f"#{info.get('name', context.settings.audit_channel)}"
    fix = "Set AUDIT_CHANNEL to a channel of this workspace only."
    if info.get("is_ext_shared") or info.get("is_pending_ext_shared"):
        found = f"{name} is shared with another organization, which can read who rotated what and why."
        return [warning(Check.CHANNEL_SHARED, found, fix)]
    if info.get("is_shared") or info.get("is_org_shared"):
        return [warning(Check.CHANNEL_SHARED, f"{name} is shared with other workspaces.", fix)]
    return [ok(Check.CHANNEL_SHARED, f"Only this workspace reads {name}.")]


async def _channel_info(context: CheckContext) -> Mapping[str, Any]:
    channel = context.settings.audit_channel
    if channel is None:
        raise CannotCheck(_NO_CHANNEL)
    await context.auth()
    answer = await context.slack.call("conversations.info", channel=channel)
    if answer.error == "missing_scope":
        raise CannotCheck("The bot needs the scope channels:read to look at the channel, groups:read if it is private.")
    if not answer.succeeded:
        raise CannotCheck(f"Slack does not show the channel ({answer.error}).")
    return answer.member("channel")
