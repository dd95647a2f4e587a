"""Slack Machine (0.40) with one command, an echo; runs in its own environment."""

import asyncio
import sys
from typing import Any

from machine import Machine
from machine.clients.slack import SlackClient
from machine.plugins.base import MachineBasePlugin
from machine.plugins.command import Command
from machine.plugins.decorators import command
from machine.settings import import_settings
from slack_sdk.web.async_client import AsyncWebClient

API = sys.argv[1]


class LocalClient(AsyncWebClient):
    """Talks to the local Slack."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"base_url": API})


async def set_up(self: SlackClient) -> None:
    """Spare it the lists of all people and channels, which the local Slack does not give."""
    self.register_handler(self._process_users_channels)
    self._bot_info = {"id": "B0BOT", "user_id": "U0BOT", "name": "bot"}


class Echo(MachineBasePlugin):
    """Repeats."""

    @command("/turso-rotate")
    async def echo(self, command: Command) -> None:
        """Say it again."""
        await command.say(command.text, ephemeral=True)


async def main() -> None:
    """Serve until killed."""
    settings, _ = import_settings("no_such_module")
    tokens = {"SLACK_APP_TOKEN": "xapp-local-app", "SLACK_BOT_TOKEN": "xoxb-local-bot"}
    settings.update(tokens | {"PLUGINS": ["__main__.Echo"], "LOGLEVEL": "ERROR"})
    await Machine(settings).run()


sys.modules["machine.core"].AsyncWebClient = LocalClient
SlackClient.setup = set_up
asyncio.run(main())
