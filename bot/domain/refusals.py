"""Why nothing was changed."""

from enum import StrEnum


class Refusal(StrEnum):
    """One word for logs and metrics."""

    NOT_ALLOWED = "not_allowed"
    OTHER_WORKSPACE = "other_workspace"
    NOT_YOURS = "not_yours"
    NO_TOKEN = "no_token"  # noqa: S105 - no secret: it says that there is none
    OWN_DATABASE = "own_database"
    MALFORMED = "malformed"
    NO_SUCH_GROUP = "no_such_group"
    NO_SUCH_ROTATION = "no_such_rotation"
    ALREADY_DECIDED = "already_decided"
    DUPLICATE = "duplicate"
    SHUTTING_DOWN = "shutting_down"
    OVERLOADED = "overloaded"
    DATABASE = "database"
    UNREADABLE = "unreadable"
    OTHER = "other"
