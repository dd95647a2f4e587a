"""Read what somebody typed behind the command; pure."""

from bot.domain.errors import UsageError
from bot.domain.models import GroupName, Request
from bot.domain.names import GROUP_NAME, storable

REASON_LIMIT = 500
"""Characters of a reason that are kept."""


def parse(text: str) -> Request | None:
    """Read `<group> [reason]`; `None` stands for a request for help.

    Raises `UsageError` when the first word is no possible group name; its text quotes nothing of what was typed.
    """
    group, _, reason = storable(text).strip().partition(" ")
    if group in {"", "help", "--help", "-h", "?"}:
        return None
    if not GROUP_NAME.fullmatch(group):
        raise UsageError(
            "That is not the name of a group: letters, digits, dashes and underscores, 64 at most, "
            "starting with a letter or digit."
        )
    return Request(GroupName(group), reason.strip()[:REASON_LIMIT])
