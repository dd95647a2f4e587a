"""The people, channels and messages of one Slack workspace."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bot.sandbox.changes import ChangeBus
from bot.sandbox.json_object import JsonObject
from bot.sandbox.messages import Content, PostedMessage
from bot.sandbox.views import View

BOT_USER = "U0BOT"
BOT_ID = "B0BOT"
APP_ID = "A0LOCAL"


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the workspace or, with another team id, a colleague in its enterprise, or an outsider.

    Slack names the enterprise itself, or any of its workspaces, as the team of somebody in Enterprise Grid.
    """

    user_id: str
    name: str
    team_id: str = "T012AB3CD"
    is_guest: bool = False
    deactivated: bool = False
    enterprise_id: str | None = None  # of a team that is neither the workspace nor its enterprise


@dataclass(frozen=True, slots=True)
class Audience:
    """Who sees a message: everybody in the channel, or one person there."""

    channel: str
    ephemeral_to: str | None = None


class Workspace:
    """All messages and views, and who may see them.

    Everybody is in every named channel; a direct conversation belongs to one person and the bot.
    """

    def __init__(self, team_id: str, channels: Mapping[str, str], clock: Callable[[], float]) -> None:
        self.team_id = team_id
        self.domain = "local"
        self.enterprise_id: str | None = None  # in Enterprise Grid
        self.auth: JsonObject = {}  # what `auth.test` answers differently, such as `is_enterprise_install`
        self.channels = dict(channels)  # id → name
        self.app_id = APP_ID  # the app that the bot token belongs to
        self.scopes = ["commands", "chat:write"]  # granted to the bot
        self.joined = set(channels)  # the channels that the bot is in
        self.channel_flags: dict[str, dict[str, bool]] = {}  # channel id → flags such as `is_archived`
        self.escaped_commands: set[str] = set()  # those with `should_escape` in the app's manifest
        self.people: dict[str, Person] = {}
        self.names: dict[str, str] = {BOT_USER: "turso-rotate"}
        self.direct_channels: dict[str, str] = {}  # channel id → user id
        self.messages: list[PostedMessage] = []
        self.homes: dict[str, View] = {}  # user id → Home tab
        self.modals: list[View] = []
        self.changes = ChangeBus()
        self._clock = clock
        self._last_ts = 0  # of the newest message, in microseconds

    def add_people(self, people: Iterable[Person]) -> None:
        """Add people, or replace those with the same user id."""
        for person in people:
            self.people[person.user_id] = person
            self.names[person.user_id] = person.name

    def ensure_person(self, person: Person) -> None:
        """Add a person, unless the user id is known."""
        if person.user_id not in self.people:
            self.add_people([person])

    def enterprise_of(self, person: Person) -> str | None:
        """Return the enterprise that a person belongs to, if any."""
        inside = person.team_id in {self.team_id, self.enterprise_id}
        return self.enterprise_id if inside else person.enterprise_id

    def has_colleague(self, person: Person) -> bool:
        """Check whether a person belongs to the workspace or its enterprise."""
        enterprise_id = self.enterprise_of(person)
        return person.team_id == self.team_id or (enterprise_id is not None and enterprise_id == self.enterprise_id)

    def post(self, audience: Audience, content: Content, *, via: str, author: str = "bot") -> PostedMessage:
        """Post a new message."""
        message = PostedMessage(
            ts=self._next_ts(),
            position=len(self.messages),
            channel=audience.channel,
            content=content,
            via=via,
            author=author,
            ephemeral_to=audience.ephemeral_to,
            names=self.names,
        )
        self.messages.append(message)
        self.changes.publish("posted", message)
        return message

    def edit(self, message: PostedMessage, content: Content, *, via: str) -> None:
        """Replace the content of a message."""
        message.replace(content)
        message.via = via
        self.changes.publish("edited", message)

    def is_visible(self, message: PostedMessage, person: Person | None) -> bool:
        """Check whether the person sees the message; `None` stands for anybody in the channel."""
        user_id = None if person is None else person.user_id
        if message.ephemeral_to not in {None, user_id}:
            return False
        return self.direct_channels.get(message.channel, user_id) == user_id

    def direct_channel(self, user_id: str) -> str:
        """Return the id of the direct conversation between the bot and a person, and open it if necessary."""
        for channel, member in self.direct_channels.items():
            if member == user_id:
                return channel
        channel = f"D0{secrets.token_hex(4).upper()}"
        self.direct_channels[channel] = user_id
        return channel

    def has_channel(self, channel: str) -> bool:
        """Check whether the channel or direct conversation exists."""
        return channel in self.channels or channel in self.direct_channels

    def has_member(self, channel: str, user_id: str) -> bool:
        """Check whether a person is in a channel or direct conversation."""
        return user_id in self.people and self.direct_channels.get(channel, user_id) == user_id

    def _next_ts(self) -> str:
        """Return the current time as a `ts`, later than any other."""
        self._last_ts = max(int(self._clock() * 1_000_000), self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"
