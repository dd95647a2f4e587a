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
from bot.slack.replies import FAILURES

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in Slack."""

    team_id: TeamId
    team: str
    user_id: str
    bot_id: str
    scopes: frozenset[str] | None
    """The scopes of the bot token; `None` if Slack did not send them."""


async def identify(web: AsyncWebClient) -> Identity:
    """Ask Slack whose token this is. Raises `SlackUnusable` if it is rejected or Slack cannot be reached."""
    try:
        answer = await web.auth_test()
    except SlackApiError as error:
        raise SlackUnusable(f"Slack does not accept SLACK_BOT_TOKEN ({error.response.get('error')}).") from None
    except FAILURES as error:
        raise SlackUnusable(f"Slack cannot be reached ({type(error).__name__}).") from None
    return Identity(
        team_id=TeamId(str(answer["team_id"])),
        team=str(answer.get("team", "")),
        user_id=str(answer["user_id"]),
        bot_id=str(answer.get("bot_id", "")),
        scopes=granted_scopes(answer.headers),
    )


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
