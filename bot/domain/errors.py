"""Every failure the bot can explain.

`str(error)` is written for the person who reads it, in Slack or on a terminal, and never holds a secret.
Anything that is not a `BotError` is a bug: it is shown as a reference number that stands in the log.

    BotError
    ├── SettingsError            a setting is missing or malformed (exit 2)
    ├── UsageError               what was typed cannot be understood (exit 2)
    ├── Refused                  the rules say no; recorded
    ├── NoSuchGroup              Turso does not know the group; recorded
    ├── NoSuchRotation                 no rotation with that id in this database
    ├── AlreadyDecided           the confirmation was used, cancelled or has expired
    ├── GroupBusy                another rotation of the group is under way
    ├── DuplicateDelivery                the same delivery was handled before; nobody needs to be told
    ├── ShuttingDown                  the bot is shutting down and takes no new work
    ├── Overloaded               more work is under way than the bot accepts
    ├── SlackUnusable            Slack does not accept the bot's tokens (at start)
    └── DatabaseError
        ├── DatabaseUnavailable  the database did not answer in time, or not at all
        ├── DatabaseReadOnly     the database refused to write: disk full, no right, read-only file
        └── SchemaMismatch       the schema is older or newer than this version of the bot

`Interrupted` is no failure: it is how a cancelled task hands on what it knows.

What only reading the history or judging an unknown can fail with stands in their modules, below one of these.
"""

from asyncio import CancelledError
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.models import GroupName, Outcome, Rotation


class Refusal(StrEnum):
    """Why somebody was told no, in one of a few words for logs and metrics."""

    NOT_ALLOWED = "not_allowed"
    OTHER_WORKSPACE = "other_workspace"
    NOT_YOURS = "not_yours"
    NO_TOKEN = "no_token"  # noqa: S105 - says that there is none
    OWN_DATABASE = "own_database"
    MALFORMED = "malformed"
    NO_SUCH_GROUP = "no_such_group"
    NOT_KNOWN = "not_known"
    ALREADY_DECIDED = "already_decided"
    GROUP_BUSY = "group_busy"
    DUPLICATE = "duplicate"
    CLOSING = "closing"
    OVERLOADED = "overloaded"
    DATABASE = "database"
    OTHER = "other"


class BotError(Exception):
    """A failure that can be explained to a person."""

    refusal: Refusal = Refusal.OTHER


class SettingsError(BotError):
    """A setting is missing or malformed."""


class UsageError(BotError):
    """What was typed cannot be understood."""

    refusal = Refusal.MALFORMED


class Refused(BotError):
    """The rules say no; `group` is what was asked for, where saying whom to ask needs its name."""

    def __init__(self, words: str, refusal: Refusal = Refusal.NOT_ALLOWED, group: GroupName | None = None) -> None:
        super().__init__(words)
        self.refusal = refusal
        self.group = group


@dataclass
class NoSuchGroup(BotError):
    """Turso does not know the group; `similar` are names that it does know, best match first."""

    refusal = Refusal.NO_SUCH_GROUP
    group: GroupName
    similar: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"Turso knows no group called {self.group}."


class NoSuchRotation(BotError):
    """No rotation with that id is in this database."""

    refusal = Refusal.NOT_KNOWN

    def __init__(self) -> None:
        super().__init__("This rotation is not known here. Is another deployment running on the same Slack app?")


@dataclass
class AlreadyDecided(BotError):
    """The confirmation can no longer be used; `rotation` says what became of it."""

    refusal = Refusal.ALREADY_DECIDED
    rotation: Rotation

    def __str__(self) -> str:
        return f"This request is already {self.rotation.state}."


@dataclass
class GroupBusy(BotError):
    """Another rotation of the same group is under way."""

    refusal = Refusal.GROUP_BUSY
    rotation: Rotation

    def __str__(self) -> str:
        return f"The tokens of {self.rotation.group} are being rotated right now."


class DuplicateDelivery(BotError):
    """The same delivery was handled before; nobody needs to be told."""

    refusal = Refusal.DUPLICATE


class ShuttingDown(BotError):
    """The bot is shutting down and takes no new work."""

    refusal = Refusal.CLOSING

    def __init__(self) -> None:
        super().__init__("I am being restarted. Nothing has been done; please try again in a minute.")


class Overloaded(BotError):
    """More work is under way than the bot accepts."""

    refusal = Refusal.OVERLOADED

    def __init__(self) -> None:
        super().__init__("Too much is going on right now. Nothing has been done; please try again in a minute.")


class SlackUnusable(BotError):
    """Slack does not accept the bot's tokens."""


class DatabaseError(BotError):
    """The database did not do what was asked."""

    refusal = Refusal.DATABASE


class DatabaseUnavailable(DatabaseError):
    """The database did not answer in time, or not at all."""


class DatabaseReadOnly(DatabaseError):
    """The database refused to write."""


class SchemaMismatch(DatabaseError):
    """The schema is older or newer than this version of the bot."""


class Interrupted(CancelledError):
    """The task was cancelled in the call to Turso; `outcome` is what is known of the call all the same."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome
