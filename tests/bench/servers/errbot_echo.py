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


BaseClient.__init__ = make
WebClient.users_setPresence = lambda *_, **__: {"ok": True}

folder = Path(tempfile.mkdtemp())
(folder / "data").mkdir()
places = {"backend": str(Path(slackv3.__file__).parent), "data": str(folder / "data"), "log": str(folder / "log")}
(folder / "config.py").write_text(CONFIG.format(**places))
sys.argv = ["errbot", "-c", str(folder / "config.py")]
main()
