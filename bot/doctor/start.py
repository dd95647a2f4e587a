"""The part of the check-up that `serve` can afford at every start: it asks nobody."""

from collections.abc import Sequence

from bot.config import Settings
from bot.doctor.database import judged_key
from bot.doctor.findings import Finding, State
from bot.doctor.lockout import judged_host
from bot.doctor.slack import judged_scopes


def remarks(settings: Settings, scopes: frozenset[str] | None) -> Sequence[Finding]:
    """Say what should be seen to; the scopes are `None` where Slack did not name them."""
    found = [*judged_key(settings), *judged_host(settings)]
    if scopes is not None:
        found += judged_scopes(settings, scopes)
    return [finding for finding in found if finding.state is not State.OK]
