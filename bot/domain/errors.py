"""Every failure that the bot can explain.

`str(error)` is written for the person who reads it, in Slack or in a terminal, and never contains a secret. Anything
that is not a `BotError` is a bug: people see a reference number, and the log has the traceback.

    BotError
    ├── SettingsError            a setting is missing or malformed (exit 2)
    ├── UsageError               the input cannot be understood (exit 2)
    │   └── NotAGroup            what was typed is no group's name; recorded
    ├── OutdatedButton           a button of another version, or a forged one
    ├── Refused                  the rules forbid it; recorded
    ├── NoSuchGroup              Turso does not know the group; recorded
    ├── NoSuchRotation           the organization has no rotation with that id; a press on it is recorded
    ├── AlreadyDecided           the request was confirmed, cancelled or has expired
    ├── ChangedMeanwhile         what was to be changed was changed by others at the same time
    ├── NotUnknown               only an unknown outcome can be judged
    ├── AlreadyResolved          somebody has judged it the same way before
    ├── DuplicateDelivery        the same delivery was handled before; nobody needs to be told
    ├── ShuttingDown             the bot is stopping and takes no new work
    ├── Overloaded               more work is running than the bot accepts
    ├── SlackUnusable            Slack does not accept the bot's tokens (at start)
    ├── UnreadableRow            a row of the database holds what the bot never writes
    └── DatabaseError
        ├── DatabaseUnavailable  the database did not answer in time, or not at all: nothing was changed
        │   └── CommitUnconfirmed  it was asked to commit, and did not say whether it has
        ├── DatabaseReadOnly     the database refused to write: disk full, missing right, read-only file
        ├── KeyChanged           the key of the audit trail was changed while this process ran
        └── SchemaMismatch       the schema is not the one that this version needs
            └── Unguarded        the database no longer protects its history

Not drawn here: `bot.slack.errors.UnexpectedError`, which shows a bug's reference number.
"""

from collections.abc import Iterable, Sequence

from bot.domain.models import GroupName, Rotation
from bot.domain.refusals import Refusal
from bot.domain.states import State

_LONGEST_NUMBER = 40


class BotError(Exception):
    """A failure that can be explained to a person."""

    refusal: Refusal = Refusal.OTHER


class SettingsError(BotError):
    """A setting is missing or malformed."""


class UsageError(BotError):
    """The input cannot be understood."""

    refusal = Refusal.MALFORMED


class NotAGroup(UsageError):
    """What was typed is no group's name. `example` is how the command is written; `similar` are groups to choose."""

    def __init__(self, words: str, example: str = "", similar: Sequence[GroupName] = ()) -> None:
        super().__init__(words)
        self.example = example
        self.similar = similar


class OutdatedButton(BotError):
    """A button of another version was pressed, or a forged one."""

    refusal = Refusal.MALFORMED

    def __init__(self) -> None:
        super().__init__("That button is from another version of the bot. Please type the command again.")


class Refused(BotError):
    """The rules forbid it.

    `group` is what was asked for, if it exists and the reader needs its name to know whom to ask; `similar` are groups
    that they may ask for.
    """

    def __init__(
        self,
        words: str,
        refusal: Refusal = Refusal.NOT_ALLOWED,
        group: GroupName | None = None,
        similar: Sequence[GroupName] = (),
    ) -> None:
        super().__init__(words)
        self.refusal = refusal
        self.group = group
        self.similar = similar


class NoSuchGroup(BotError):
    """Turso does not know the group.

    `similar` are groups that the person may rotate, best match first. If a database has this name, `holder` is its
    group, which they may rotate too.
    """

    refusal = Refusal.NO_SUCH_GROUP

    def __init__(self, group: GroupName, similar: Sequence[GroupName] = (), holder: GroupName | None = None) -> None:
        super().__init__(f"Turso has no group called {group}.")
        self.group = group
        self.similar = similar
        self.holder = holder


class NoSuchRotation(BotError):
    """The organization has no rotation with that id."""

    refusal = Refusal.NO_SUCH_ROTATION
    recorded_why = "This bot's organization has no rotation with this id."

    def __init__(self) -> None:
        super().__init__("There is no rotation with this ID.")


class AlreadyDecided(BotError):
    """The request was confirmed, cancelled or has expired; `rotation` says which, `seconds` how long it has ended.

    `saved` says whether that is on record, or only known to this process.
    """

    refusal = Refusal.ALREADY_DECIDED

    def __init__(self, rotation: Rotation, seconds: float = 0.0, *, saved: bool = True) -> None:
        super().__init__(f"This request is already {rotation.state}.")
        self.rotation = rotation
        self.seconds = seconds
        self.saved = saved


class ChangedMeanwhile(BotError):
    """What was to be changed was changed by others at the same time, again and again."""

    refusal = Refusal.ALREADY_DECIDED


class NotUnknown(BotError):
    """Only an unknown outcome can be judged."""

    refusal = Refusal.ALREADY_DECIDED

    def __init__(self, state: State) -> None:
        super().__init__(f"Only an unknown outcome can be judged; this rotation is recorded as {state}.")


class AlreadyResolved(BotError):
    """Somebody has judged it the same way before."""

    refusal = Refusal.ALREADY_DECIDED

    def __init__(self, rotation: Rotation) -> None:
        judge = rotation.detail.get("resolved_by", "somebody")
        super().__init__(f"This rotation has already been judged {rotation.resolved_as} by {judge}.")


class DuplicateDelivery(BotError):
    """The same delivery was handled before; nobody needs to be told."""

    refusal = Refusal.DUPLICATE


class ShuttingDown(BotError):
    """The bot is stopping and takes no new work."""

    refusal = Refusal.SHUTTING_DOWN

    def __init__(self) -> None:
        super().__init__("I am shutting down. Please try again in a minute.")


class Overloaded(BotError):
    """More work is running than the bot accepts."""

    refusal = Refusal.OVERLOADED

    def __init__(self) -> None:
        super().__init__("I am overloaded right now. Please try again in a minute.")


class SlackUnusable(BotError):
    """Slack does not accept the bot's tokens."""


class UnreadableRow(BotError):
    """A row of the database holds what the bot never writes; the row stays as it is, and the others count.

    `kind` and `number` name it, and `why` ends the sentence; it never quotes what the row holds.
    """

    refusal = Refusal.UNREADABLE

    def __init__(self, kind: str, number: object, why: str) -> None:
        self.key = f"{kind} {str(number)[:_LONGEST_NUMBER]}"
        super().__init__(f"{self.key} cannot be read: {why}.")


class DatabaseError(BotError):
    """The database did not do what was asked."""

    refusal = Refusal.DATABASE
    cause = ""
    """What the driver said where the words cannot tell, for operators only: it names hosts, roles and tables."""

    @property
    def facts(self) -> dict[str, str]:
        """What to log of it."""
        return {"why": str(self)} | ({"cause": self.cause} if self.cause else {})


class DatabaseUnavailable(DatabaseError):
    """The database did not answer in time, or not at all."""


class CommitUnconfirmed(DatabaseUnavailable):
    """The change may be committed or not: the database was told to, and its answer was lost."""


class DatabaseReadOnly(DatabaseError):
    """The database refused to write."""


class KeyChanged(DatabaseError):
    """The key of the audit trail was changed while this process ran: it must not write under the old one."""

    def __init__(self) -> None:
        super().__init__("The audit trail's key was changed: restart the bot with the new AUDIT_KEY.")


class SchemaMismatch(DatabaseError):
    """The schema is not the one that this version needs."""


class Unguarded(SchemaMismatch):
    """The database no longer protects its history: these guards are not as the migrations made them."""

    def __init__(self, guards: Iterable[str]) -> None:
        self.guards = tuple(sorted(guards))
        super().__init__(
            "The database no longer protects its history. These guards are missing, disabled, changed or "
            f"added: {', '.join(self.guards)}. No rotation starts until they are restored; "
            "turso-rotate doctor says how."
        )
