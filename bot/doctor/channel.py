"""Whether announcements reach the audit channel, and nobody outside."""

from collections.abc import Mapping
from typing import Any

from bot.doctor.facts import Facts
from bot.doctor.findings import Check, Finding, Unreadable, failure, ok, skipped, warning
from bot.doctor.slack import ANNOUNCING

_NONE = "No AUDIT_CHANNEL is set: outcomes are announced where the command was typed."


async def reachable(facts: Facts) -> list[Finding]:
    """See whether the bot can write in the channel."""
    channel = facts.settings.audit_channel
    if channel is None:
        return [skipped(Check.CHANNEL, _NONE, "Set AUDIT_CHANNEL to a channel's id, to have all of them in one place.")]
    await facts.auth()
    answer = await facts.slack.ask("conversations.info", channel=channel)
    if answer.error == "channel_not_found":
        found = f"Slack shows the bot no channel {channel}: there is none, or it is private and the bot is not in it."
        return [failure(Check.CHANNEL, found, "Mend AUDIT_CHANNEL, or type /invite @Turso Rotate in the channel.")]
    about = await _about(facts)
    name = f"#{about.get('name', channel)}"
    if about.get("is_archived"):
        return [failure(Check.CHANNEL, f"{name} is archived.", "Unarchive it, or set AUDIT_CHANNEL to another one.")]
    if about.get("is_member"):
        return [ok(Check.CHANNEL, f"The bot is in {name}.")]
    if not about.get("is_private") and ANNOUNCING in await facts.scopes():
        return [ok(Check.CHANNEL, f"The bot is not in {name}, and may announce there all the same ({ANNOUNCING}).")]
    found = f"The bot is not in {name}: no announcement gets there."
    return [failure(Check.CHANNEL, found, f"Type /invite @Turso Rotate in {name}.")]


async def shared(facts: Facts) -> list[Finding]:
    """See who else reads the channel."""
    about = await _about(facts)
    name = f"#{about.get('name', facts.settings.audit_channel)}"
    fix = "Set AUDIT_CHANNEL to a channel of your own."
    if about.get("is_ext_shared") or about.get("is_pending_ext_shared"):
        found = f"{name} is shared with another organization, which reads who rotated what, and why."
        return [warning(Check.CHANNEL_SHARED, found, fix)]
    if about.get("is_shared") or about.get("is_org_shared"):
        return [warning(Check.CHANNEL_SHARED, f"{name} is shared with other workspaces.", fix)]
    return [ok(Check.CHANNEL_SHARED, f"{name} is this workspace's alone.")]


async def _about(facts: Facts) -> Mapping[str, Any]:
    channel = facts.settings.audit_channel
    if channel is None:
        raise Unreadable(_NONE)
    await facts.auth()
    answer = await facts.slack.ask("conversations.info", channel=channel)
    if answer.error == "missing_scope":
        raise Unreadable(
            "Channels cannot be looked at without the scope channels:read, or groups:read for a private one."
        )
    if not answer.yes:
        raise Unreadable(f"The channel cannot be looked at ({answer.error}).")
    return answer.part("channel")
