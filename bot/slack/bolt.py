"""The Bolt app for one workspace, and the identity that Slack gives the bot there."""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.domain.errors import SettingsError, SlackUnusable
from bot.domain.models import TeamId
from bot.domain.names import ENTERPRISE_ID, TEAM_ID
from bot.slack.replies import FAILURES

ORG_WIDE = "The app is installed in a whole organization, but the bot serves one workspace."
ORG_WIDE_FIX = "Uninstall it there, and install it in the workspace: OAuth & Permissions → Install."

_NOT_SLACK = "Slack cannot be reached: SLACK_API_URL did not answer as Slack's API does."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in Slack."""

    team_id: TeamId
    enterprise_id: str | None
    """The organization of the workspace in Enterprise Grid."""
    team: str
    user_id: str
    bot_id: str
    scopes: frozenset[str] | None
    """The scopes of the bot token; `None` if Slack did not send them."""


async def identify(web: AsyncWebClient) -> Identity:
    """Ask Slack whose token this is.

    Raises `SlackUnusable` if it is rejected, if it is that of a whole organization, or if Slack cannot be reached.
    """
    try:
        answer = await web.auth_test()
    except SlackApiError as error:
        data = error.response.data
        code = data.get("error") if isinstance(data, dict) else None
        raise SlackUnusable(f"Slack does not accept SLACK_BOT_TOKEN ({code})." if code else _NOT_SLACK) from None
    except AttributeError:  # slack-sdk 3.47.0, if the answer is no JSON object
        raise SlackUnusable(_NOT_SLACK) from None
    except FAILURES as error:
        raise SlackUnusable(f"Slack cannot be reached ({type(error).__name__}).") from None
    if is_org_wide(answer.get("team_id"), answer.get("is_enterprise_install")):
        raise SlackUnusable(f"{ORG_WIDE} {ORG_WIDE_FIX}")
    enterprise = ENTERPRISE_ID.fullmatch(str(answer.get("enterprise_id")))
    return Identity(
        team_id=TeamId(str(answer["team_id"])),
        enterprise_id=enterprise[0] if enterprise else None,
        team=str(answer.get("team", "")),
        user_id=str(answer["user_id"]),
        bot_id=str(answer.get("bot_id", "")),
        scopes=granted_scopes(answer.headers),
    )


def is_org_wide(team_id: object, is_enterprise_install: object) -> bool:
    """Return whether `auth.test` tells of an installation in a whole organization, which has no team of its own.

    Its token would need a workspace in many calls, and a grant holds in one workspace.
    """
    return bool(is_enterprise_install) or TEAM_ID.fullmatch(str(team_id)) is None


def granted_scopes(headers: Mapping[str, str]) -> frozenset[str] | None:
    """Return the scopes of the token from the headers of any answer by Slack; `None` if it did not send them."""
    granted = headers.get("x-oauth-scopes")
    return None if granted is None else frozenset(filter(None, map(str.strip, granted.split(","))))


def build_app(web: AsyncWebClient, identity: Identity) -> AsyncApp:
    """Build the app; `process_before_response` answers when the listener returns, instead of polling every 10 ms.

    Its signature check is off: the endpoint has checked before, and Socket Mode has no signatures. Raises
    `SettingsError` if the environment switches Bolt to OAuth mode.
    """
    result = AuthorizeResult(
        enterprise_id=None,
        team_id=identity.team_id,
        bot_token=web.token,
        bot_id=identity.bot_id,
        bot_user_id=identity.user_id,
    )

    async def authorize() -> AuthorizeResult:
        return result

    # Bolt warns that `authorize` takes precedence over SLACK_BOT_TOKEN in the environment, which is intended.
    logger = logging.getLogger("bot.bolt")
    logger.setLevel(logging.ERROR)
    app = AsyncApp(
        name="turso-rotate",  # or Bolt looks through the source of every module for the caller's
        logger=logger,
        client=web,
        authorize=authorize,
        process_before_response=True,
        request_verification_enabled=False,
        ssl_check_enabled=False,
    )
    app.error(_answer_malformed)
    if app.oauth_flow is not None:
        raise SettingsError("SLACK_CLIENT_ID and SLACK_CLIENT_SECRET would switch Bolt to OAuth mode: unset them.")
    return app


async def _answer_malformed(error: Exception) -> BoltResponse:
    """Answer if Bolt fails on a payload of an unexpected shape; listeners handle their own failures."""
    log_malformed(error)
    return BoltResponse(status=400, body="malformed")


def log_malformed(error: Exception) -> None:
    """Log where Bolt failed, but nothing of the payload."""
    where = "unknown"
    for frame, line in traceback.walk_tb(error.__traceback__):
        where = f"{frame.f_globals['__name__']}:{line}"
    log.warning("malformed payload", error=type(error).__name__, where=where)
