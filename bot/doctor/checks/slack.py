"""Check that Slack accepts the bot's tokens, and what they may do."""

from bot.config import Settings
from bot.doctor.calls import ServiceAnswer
from bot.doctor.context import CheckContext
from bot.doctor.findings import CannotCheck, Check, Finding, failure, ok, skipped, warning
from bot.doctor.readers import SocketHello
from bot.slack.bolt import ORG_WIDE, ORG_WIDE_FIX, is_org_wide

NEEDED = {
    "commands": "nobody can use the slash commands",
    "chat:write": "the bot can post no announcements and no direct messages",
}
"""The scopes of `manifest.yml`, and what does not work without them."""
ANNOUNCING = "chat:write.public"
FOR_THE_DOCTOR = frozenset({"users:read", "channels:read", "groups:read"})
"""Scopes that only these checks use; all of them only read."""

_APPS = "https://api.slack.com/apps"
_HTTP_MODE = "HTTP mode uses no app-level token:"


async def check_slack_token(context: CheckContext) -> list[Finding]:
    """Check that Slack accepts the bot token."""
    answer = await context.slack.call("auth.test")
    if answer.succeeded:
        return [ok(Check.SLACK_TOKEN, f"Slack accepts SLACK_BOT_TOKEN: the bot is {answer.data.get('user')}.")]
    if not answer.arrived:
        fix = f"Let this machine connect to {context.settings.slack_api_url}, or correct SLACK_API_URL."
        return [failure(Check.SLACK_TOKEN, f"{answer.error}.", fix)]
    fix = f"Copy the token xoxb-… to SLACK_BOT_TOKEN: {_APPS} → your app → OAuth & Permissions."
    return [failure(Check.SLACK_TOKEN, f"Slack does not accept SLACK_BOT_TOKEN ({answer.error}).", fix)]


async def check_slack_workspace(context: CheckContext) -> list[Finding]:
    """Check that the app is installed in one workspace."""
    auth = (await context.auth()).data
    if is_org_wide(auth.get("team_id"), auth.get("is_enterprise_install")):
        return [failure(Check.SLACK_WORKSPACE, ORG_WIDE, ORG_WIDE_FIX)]
    return [ok(Check.SLACK_WORKSPACE, f"The bot serves the workspace {auth.get('team')} ({auth['team_id']}).")]


async def check_slack_scopes(context: CheckContext) -> list[Finding]:
    """Check that the bot token has neither too few nor too many scopes."""
    return scope_findings(context.settings, await context.scopes())


def scope_findings(settings: Settings, granted: frozenset[str]) -> list[Finding]:
    """Compare the granted scopes with those that the bot needs."""
    fix = f"{_APPS} → your app → OAuth & Permissions → Bot Token Scopes, then reinstall the app."
    missing = NEEDED.keys() - granted
    useful = NEEDED.keys() | FOR_THE_DOCTOR | ({ANNOUNCING} if settings.audit_channel else set())
    unneeded = granted - useful
    findings = [
        failure(Check.SLACK_SCOPES, f"The bot token lacks {each}: {NEEDED[each]}.", f"Add {each}: {fix}", each)
        for each in sorted(missing)
    ]
    if unneeded:
        found = f"The bot token has scopes that the bot does not need: {', '.join(sorted(unneeded))}."
        findings.append(warning(Check.SLACK_SCOPES, found, f"Remove them: {fix}"))
    return findings or [ok(Check.SLACK_SCOPES, f"The bot token has the scopes it needs: {', '.join(sorted(granted))}.")]


async def check_slack_socket(context: CheckContext) -> list[Finding]:
    """Check that Slack accepts the app-level token and opens a connection."""
    if context.settings.slack_app_token is None:
        return [skipped(Check.SLACK_SOCKET, f"{_HTTP_MODE} Slack connects to the bot.")]
    url, hello = await context.slack.socket_url(), await context.slack.socket_hello()
    if url.arrived and not url.succeeded:
        found = f"Slack does not accept SLACK_APP_TOKEN ({url.error})."
        fix = (
            f"Create a token xapp-… with connections:write: {_APPS} → your app → Basic Information → App-Level Tokens."
        )
        return [failure(Check.SLACK_SOCKET, found, fix)]
    if isinstance(hello, ServiceAnswer):
        fix = "Let this machine open WebSocket connections (wss, port 443) to Slack."
        return [failure(Check.SLACK_SOCKET, f"{hello.error}.", fix)]
    if hello.refusal == "link_disabled":
        fix = f"Turn it on: {_APPS} → your app → Socket Mode."
        return [failure(Check.SLACK_SOCKET, "Socket Mode is turned off for the app.", fix)]
    return [ok(Check.SLACK_SOCKET, "Slack accepts SLACK_APP_TOKEN and answers on a connection.")]


async def check_slack_app(context: CheckContext) -> list[Finding]:
    """Check that both tokens belong to one app."""
    bot_id = str((await context.auth()).data.get("bot_id", ""))
    answer = await context.slack.call("bots.info", bot=bot_id)
    if answer.error == "missing_scope":
        found = "The bot needs the scope users:read to find out which app its token belongs to."
        return [skipped(Check.SLACK_APP, found, "To enable this check, add users:read.")]
    if not answer.succeeded:
        return [skipped(Check.SLACK_APP, f"Slack does not say which app the bot token belongs to ({answer.error}).")]
    own = str(answer.member("bot").get("app_id", ""))
    if context.settings.slack_app_token is None:
        return [ok(Check.SLACK_APP, f"The bot token belongs to the app {own}.")]
    other = (await _socket_hello(context)).app_id
    if own == other:
        return [ok(Check.SLACK_APP, f"Both tokens belong to the app {own}.")]
    found = f"SLACK_BOT_TOKEN belongs to the app {own}, SLACK_APP_TOKEN to {other}: the bot receives no commands."
    return [failure(Check.SLACK_APP, found, f"Copy both tokens from one app: {_APPS}/{own}")]


async def check_slack_deployments(context: CheckContext) -> list[Finding]:
    """Count the app's connections: another deployment on it would receive some of this one's presses."""
    if context.settings.slack_app_token is None:
        raise CannotCheck(f"{_HTTP_MODE} Slack knows one URL, and so one deployment.")
    hello, expected = await context.slack.socket_hello(), context.replicas
    if isinstance(hello, SocketHello) and hello.refusal == "too_many_websockets":
        found = "Slack refuses another connection: the app already has all ten."
        return [failure(Check.SLACK_DEPLOYMENTS, found, "Stop replicas, or other programs that use this Slack app.")]
    connections = (await _socket_hello(context)).connections
    if connections is None:
        raise CannotCheck("Slack does not say how many connections the app has.")
    others = connections - 1
    found = f"Other connections of this Slack app: {others}, of {expected} expected."
    if others <= expected:
        return [ok(Check.SLACK_DEPLOYMENTS, found)]
    found += " They are replicas, or another deployment, which would receive some of this one's presses."
    fix = f"Create a Slack app for each deployment. If {others} replicas run: turso-rotate doctor --replicas {others}"
    return [warning(Check.SLACK_DEPLOYMENTS, found, fix)]


async def _socket_hello(context: CheckContext) -> SocketHello:
    hello = await context.slack.socket_hello()
    if isinstance(hello, ServiceAnswer) or hello.refusal:
        raise CannotCheck("There is no Socket Mode connection.")
    return hello
