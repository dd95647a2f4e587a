"""The people, channels and messages of one Slack workspace."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bot.sandbox.feed import Feed
from bot.sandbox.messages import Content, Message
from bot.sandbox.views import View

BOT_USER = "U0BOT"
APP_ID = "A0LOCAL"


@dataclass(frozen=True, slots=True)
class Person:
    """Someone in the workspace, or, with another team id, someone who shares a channel with it."""

    user_id: str
    name: str
    team_id: str = "T012AB3CD"
    is_guest: bool = False
    deactivated: bool = False


@dataclass(frozen=True, slots=True)
class Channel:
    """Where a message is shown: to everybody in the channel, or to one person there."""

    channel: str
    ephemeral_to: str | None = None
    thread_ts: str | None = None


class Workspace:
    """Everything that anybody ever saw, and who may see it.

    Every person is in every named channel; direct conversations belong to those whom they were opened for.
    """

    def __init__(self, team_id: str, channels: Mapping[str, str], clock: Callable[[], float]) -> None:
        self.team_id = team_id
        self.domain = "local"
        self.channels = dict(channels)  # id → name
        self.app_id = APP_ID  # whose bot token it is
        self.scopes = ["commands", "chat:write"]  # granted to the bot
        self.joined = set(channels)  # those that the bot is in
        self.traits: dict[str, dict[str, bool]] = {}  # channel id → what else is true of it, such as `is_archived`
        self.escaped: set[str] = set()  # commands of which the app's manifest says `should_escape`
        self.people: dict[str, Person] = {}
        self.names: dict[str, str] = {BOT_USER: "turso-rotate"}
        self.groups: dict[str, list[str]] = {}  # user group id → user ids
        self.conversations: dict[str, frozenset[str]] = {}  # direct ones: id → user ids
        self.messages: list[Message] = []
        self.homes: dict[str, View] = {}  # user id → Home tab
        self.modals: list[View] = []
        self.feed = Feed()
        self._clock = clock
        self._last = 0  # the newest message's time in microseconds
        self._by_ts: dict[tuple[str, str], Message] = {}

    def welcome(self, people: Iterable[Person]) -> None:
        """Add people, or replace those with the same user id."""
        for person in people:
            self.people[person.user_id] = person
            self.names[person.user_id] = person.name

    def meet(self, person: Person) -> None:
        """Add somebody who was not heard of before."""
        if person.user_id not in self.people:
            self.welcome([person])

    def post(self, place: Channel, content: Content, *, via: str, author: str = "bot") -> Message:
        """Show a new message."""
        message = Message(
            ts=self.tick(),
            position=len(self.messages),
            channel=place.channel,
            content=content,
            via=via,
            author=author,
            ephemeral_to=place.ephemeral_to,
            thread_ts=place.thread_ts,
            names=self.names,
        )
        self.messages.append(message)
        self._by_ts[message.channel, message.ts] = message
        self.feed.publish("posted", message)
        return message

    def edit(self, message: Message, content: Content, *, via: str) -> None:
        """Show something else in the same place."""
        message.becomes(content)
        message.via = via
        self.feed.publish("edited", message)

    def delete(self, message: Message) -> None:
        """Show the message no longer."""
        message.deleted = True
        self.feed.publish("deleted", message)

    def find(self, channel: str, ts: str) -> Message | None:
        """Find what `chat.update` could change: ephemeral and deleted messages are not among it."""
        message = self._by_ts.get((channel, ts))
        return None if message is None or message.deleted or message.ephemeral_to else message

    def shows(self, message: Message, person: Person | None) -> bool:
        """Say whether the person (`None`: just anybody) sees the message now."""
        user_id = None if person is None else person.user_id
        if message.deleted or message.ephemeral_to not in {None, user_id}:
            return False
        audience = self.conversations.get(message.channel)
        return audience is None or user_id in audience

    def direct(self, users: Iterable[str]) -> str:
        """Return the id of the direct conversation between the bot and these people, opened if need be."""
        audience = frozenset(users)
        for channel, known in self.conversations.items():
            if known == audience:
                return channel
        channel = f"{'D' if len(audience) == 1 else 'G'}0{secrets.token_hex(4).upper()}"
        self.conversations[channel] = audience
        return channel

    def knows(self, channel: str) -> bool:
        """Say whether the bot can reach the channel at all."""
        return channel in self.channels or channel in self.conversations

    def tick(self) -> str:
        """Return the time now as a `ts`, later than any other."""
        self._last = max(int(self._clock() * 1_000_000), self._last + 1)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"
