"""Check that this machine's clock agrees with Slack's, Turso's and the database's."""

from bot.doctor.context import CheckContext
from bot.doctor.findings import CannotCheck, Check, Finding, failure, ok, skipped, warning
from bot.domain.errors import DatabaseError

WARN_SECONDS = 30.0
FAIL_SECONDS = 150.0
"""Half of the five minutes after which a request signed by Slack is refused."""
_FIX = "Synchronize the clock: timedatectl set-ntp true"


async def check_slack_clock(context: CheckContext) -> list[Finding]:
    """Compare this machine's clock with the `Date` of Slack's answers."""
    answer = await context.slack.call("auth.test")
    if not answer.arrived:
        raise CannotCheck(f"{answer.error}.")
    return [_compare(Check.SLACK_CLOCK, "Slack's", answer.clock_ahead)]


async def check_turso_clock(context: CheckContext) -> list[Finding]:
    """Compare this machine's clock with the `Date` of Turso's answers."""
    secrets = [*context.settings.turso_group_tokens.values(), context.settings.turso_api_token]
    token = next(secret.get_secret_value() for secret in secrets if secret is not None)
    answer = await context.turso.get("/v1/auth/validate", token)
    if not answer.arrived:
        raise CannotCheck(f"{answer.error}.")
    return [_compare(Check.TURSO_CLOCK, "Turso's", answer.clock_ahead)]


async def check_database_clock(context: CheckContext) -> list[Finding]:
    """Compare this machine's clock with the database's, which decides expiries, leases and grants."""
    if context.uses_sqlite:
        return [ok(Check.DATABASE_CLOCK, "SQLite uses this machine's clock.")]
    try:
        _, ahead = await context.status_and_clock()
    except DatabaseError as error:
        raise CannotCheck(str(error)) from None
    return [_compare(Check.DATABASE_CLOCK, "the database's", ahead)]


def _compare(check: Check, owner: str, ahead: float | None) -> Finding:
    if ahead is None:
        return skipped(check, f"{owner} answer contains no time.")
    apart, direction = abs(ahead), "behind" if ahead > 0 else "ahead of"
    if apart <= WARN_SECONDS:
        return ok(check, f"The clocks are {apart:.0f} s apart.")
    found = f"This machine's clock is {apart:.0f} s {direction} {owner} clock."
    if apart <= FAIL_SECONDS:
        return warning(check, found, _FIX)
    return failure(check, f"{found} At more than 300 s, requests from Slack are refused as replays.", _FIX)
