"""Parse what somebody typed after `/turso-rotate`; pure."""

from bot.domain.errors import UsageError
from bot.domain.models import GroupName, Request
from bot.domain.names import GROUP_NAME
from bot.domain.text import storable

HELP = frozenset({"help", "--help", "-h", "?"})
REASON_LIMIT = 500
"""How many characters of a reason are kept."""


def parse(text: str) -> Request | None:
    """Parse `<group> [reason]`; `None` is a request for help.

    Raises `UsageError` if the first word is no possible group name; the text of the error quotes nothing.
    """
    group, _, reason = storable(text).strip().partition(" ")
    if not group or group in HELP:
        return None
    if not GROUP_NAME.fullmatch(group):
        raise UsageError(
            "That is not a group name. A name has up to 64 letters, digits, dashes and underscores, "
            "and starts with a letter or digit."
        )
    return Request(GroupName(group), reason.strip()[:REASON_LIMIT])
