"""Errbot (6.2) with its Slack backend (0.3) and the echo it brings; runs in its own environment."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import slackv3
from errbot.cli import main
from slack_sdk.web.base_client import BaseClient
from slack_sdk.web.client import WebClient

API = sys.argv[1]
CONFIG = """
import logging
BACKEND = "SlackV3"
BOT_EXTRA_BACKEND_DIR = {backend!r}
BOT_DATA_DIR = {data!r}
BOT_LOG_FILE = {log!r}
BOT_LOG_LEVEL = logging.ERROR
BOT_IDENTITY = {{"token": "xoxb-local-bot", "app_token": "xapp-local-app", "signing_secret": "x"}}
BOT_ADMINS = ()
BOT_PREFIX = "!"
BOT_EXTRA_PLUGIN_DIR = None
CORE_PLUGINS = ()
"""

made = BaseClient.__init__


def make(self: BaseClient, *arguments: Any, **options: Any) -> None:
    """Talk to the local Slack."""
    made(self, *arguments, **options | {"base_url": API})


# Spares it every question about people and channels, which the local Slack does not answer to a bot without scopes.
def user(_: WebClient, *, user: str) -> dict[str, Any]:
    profile = {"display_name": user, "real_name": user, "email": ""}
    return {"ok": True, "user": {"id": user, "name": user, "team_id": "T012AB3CD", "is_bot": False, "profile": profile}}


def channel(_: WebClient, *, channel: str) -> dict[str, Any]:
    nothing = {"value": ""}
    return {"ok": True, "channel": {"id": channel, "name": "incident", "topic": nothing, "purpose": nothing}}


def team(_: WebClient, **__: str) -> dict[str, Any]:
    return {"ok": True, "team": {"id": "T012AB3CD", "domain": "acme", "name": "acme"}}


BaseClient.__init__ = make
WebClient.users_info = user
WebClient.conversations_info = channel
WebClient.users_list = lambda *_, **__: {"ok": True, "members": [], "response_metadata": {}}
WebClient.team_info = team
WebClient.users_setPresence = lambda *_, **__: {"ok": True}

folder = Path(tempfile.mkdtemp())
(folder / "data").mkdir()
places = {"backend": str(Path(slackv3.__file__).parent), "data": str(folder / "data"), "log": str(folder / "log")}
(folder / "config.py").write_text(CONFIG.format(**places))
sys.argv = ["errbot", "-c", str(folder / "config.py")]
main()
