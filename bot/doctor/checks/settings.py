"""Describe the settings; wrong ones never come this far."""

from bot.doctor.context import CheckContext
from bot.doctor.findings import Check, Finding, ok


async def check_settings(context: CheckContext) -> list[Finding]:
    """Describe how the bot is configured."""
    settings = context.settings
    mode = "Socket Mode" if settings.slack_app_token is not None else f"HTTP on {settings.host}:{settings.port}"
    count = len(settings.turso_group_tokens)
    tokens = [f"{count} group token{'' if count == 1 else 's'}"] if count else []
    tokens += ["an organization token"] if settings.turso_api_token is not None else []
    organization = settings.turso_organization
    return [ok(Check.SETTINGS, f"Complete: {mode}, Turso organization {organization}, {' and '.join(tokens)}.")]
