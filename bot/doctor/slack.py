"""Whether Slack takes the bot's tokens, and what they are allowed."""

from bot.config import Settings
from bot.doctor.answers import Answer
from bot.doctor.facts import Facts
from bot.doctor.findings import Check, Finding, Unreadable, failure, ok, skipped, warning
from bot.doctor.questions import Hello

NEEDED = {
    "commands": "nobody can type the commands",
    "chat:write": "nothing can be announced, and no direct message sent",
}
"""The scopes of `manifest.yml`, and what does not work without them."""
ANNOUNCING = "chat:write.public"
FOR_THE_DOCTOR = frozenset({"users:read", "channels:read", "groups:read"})
"""Scopes that only these checks make use of; all of them read."""

_APPS = "https://api.slack.com/apps"
_HTTP_MODE = "HTTP mode: there is no app-level token."


async def token(facts: Facts) -> list[Finding]:
    """See whether Slack takes the bot token."""
    answer = await facts.slack.ask("auth.test")
    if answer.yes:
        return [ok(Check.SLACK_TOKEN, f"Slack takes SLACK_BOT_TOKEN: the bot is {answer.data.get('user')}.")]
    if not answer.came:
        fix = f"Let this machine reach {facts.settings.slack_api_url}, or fix SLACK_API_URL."
        return [failure(Check.SLACK_TOKEN, f"{answer.error}.", fix)]
    fix = f"Copy the token xoxb-… into SLACK_BOT_TOKEN: {_APPS} → your app → OAuth & Permissions."
    return [failure(Check.SLACK_TOKEN, f"Slack does not take SLACK_BOT_TOKEN ({answer.error}).", fix)]


async def workspace(facts: Facts) -> list[Finding]:
    """See which workspace the bot serves."""
    about = (await facts.auth()).data
    if about.get("is_enterprise_install") or not about.get("team_id"):
        found = "The app is installed in a whole organization; the bot serves one workspace."
        fix = "Uninstall it there, and install it in the workspace: OAuth & Permissions → Install."
        return [failure(Check.WORKSPACE, found, fix)]
    return [ok(Check.WORKSPACE, f"The bot serves the workspace {about.get('team')} ({about['team_id']}).")]


async def scopes(facts: Facts) -> list[Finding]:
    """See what the bot token may do."""
    return judged_scopes(facts.settings, await facts.scopes())


def judged_scopes(settings: Settings, granted: frozenset[str]) -> list[Finding]:
    """Compare the scopes with those that are needed: too few, and too many."""
    fix = f"{_APPS} → your app → OAuth & Permissions → Bot Token Scopes, then install the app again."
    missing = NEEDED.keys() - granted
    useful = NEEDED.keys() | FOR_THE_DOCTOR | ({ANNOUNCING} if settings.audit_channel else set())
    unneeded = granted - useful
    findings = [
        failure(Check.SCOPES, f"The bot token lacks {each}: {NEEDED[each]}.", f"Add {each}: {fix}", each)
        for each in sorted(missing)
    ]
    if unneeded:
        names = ", ".join(sorted(unneeded))
        findings.append(warning(Check.SCOPES, f"The bot token may do more than it needs: {names}.", f"Remove: {fix}"))
    return findings or [ok(Check.SCOPES, f"The bot token may do what it needs: {', '.join(sorted(granted))}.")]


async def socket(facts: Facts) -> list[Finding]:
    """See whether Slack takes the app-level token and opens a connection."""
    if facts.settings.slack_app_token is None:
        return [skipped(Check.SOCKET, f"{_HTTP_MODE} Slack connects to the bot.")]
    ticket, hello = await facts.slack.ticket(), await facts.slack.hello()
    if ticket.came and not ticket.yes:
        found = f"Slack does not take SLACK_APP_TOKEN ({ticket.error})."
        fix = f"Make a token xapp-… with connections:write: {_APPS} → your app → Basic Information → App-Level Tokens."
        return [failure(Check.SOCKET, found, fix)]
    if isinstance(hello, Answer):
        fix = "Let this machine open WebSocket connections (wss, port 443) to Slack."
        return [failure(Check.SOCKET, f"{hello.error}.", fix)]
    if hello.turned_away == "link_disabled":
        fix = f"Switch it on: {_APPS} → your app → Socket Mode."
        return [failure(Check.SOCKET, "Socket Mode is switched off for the app.", fix)]
    return [ok(Check.SOCKET, "Slack takes SLACK_APP_TOKEN, and answers on a connection.")]


async def app(facts: Facts) -> list[Finding]:
    """See whether both tokens belong to one app."""
    bot_id = str((await facts.auth()).data.get("bot_id", ""))
    about = await facts.slack.ask("bots.info", bot=bot_id)
    if not about.yes:
        found = "Which app the bot token belongs to cannot be read"
        if about.error == "missing_scope":
            return [
                skipped(Check.APP, f"{found} without the scope users:read.", "Add users:read, if you want this check.")
            ]
        return [skipped(Check.APP, f"{found} ({about.error}).")]
    own = str(about.part("bot").get("app_id", ""))
    if facts.settings.slack_app_token is None:
        return [ok(Check.APP, f"The bot token belongs to the app {own}.")]
    other = (await _greeted(facts)).app_id
    if own == other:
        return [ok(Check.APP, f"Both tokens belong to the app {own}.")]
    found = f"SLACK_BOT_TOKEN belongs to the app {own}, SLACK_APP_TOKEN to {other}: the bot never hears its commands."
    return [failure(Check.APP, found, f"Copy both tokens from one app: {_APPS}/{own}")]


async def deployments(facts: Facts) -> list[Finding]:
    """Count the connections of the app: another deployment on it takes clicks away from this one."""
    if facts.settings.slack_app_token is None:
        raise Unreadable(f"{_HTTP_MODE} Slack knows one address, and so one deployment.")
    hello, expected = await facts.slack.hello(), facts.replicas
    if isinstance(hello, Hello) and hello.turned_away == "too_many_websockets":
        found = "Slack refuses another connection: the app holds all ten."
        return [failure(Check.DEPLOYMENTS, found, "Stop replicas, or what else runs on this Slack app.")]
    connections = (await _greeted(facts)).connections
    if connections is None:
        raise Unreadable("Slack does not say how many connections the app holds.")
    others = connections - 1
    if others <= expected:
        return [ok(Check.DEPLOYMENTS, f"Other connections of this Slack app: {others}, of {expected} expected.")]
    found = (
        f"Other connections of this Slack app: {others}, of {expected} expected. Replicas look the same as another "
        "deployment, which would take this one's clicks."
    )
    fix = f"Make a Slack app for each deployment; or, if so many replicas run: turso-rotate doctor --replicas {others}"
    return [warning(Check.DEPLOYMENTS, found, fix)]


async def _greeted(facts: Facts) -> Hello:
    hello = await facts.slack.hello()
    if isinstance(hello, Answer) or hello.turned_away:
        raise Unreadable("There is no connection in Socket Mode.")
    return hello
