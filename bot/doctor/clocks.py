"""Whether this machine's clock agrees with Slack's, Turso's and the database's."""

from bot.doctor.facts import Facts
from bot.doctor.findings import Check, Finding, Unreadable, failure, ok, skipped, warning
from bot.domain.errors import DatabaseError

WARN_SECONDS = 30.0
FAIL_SECONDS = 150.0
"""Half of the five minutes after which a request that Slack signed is refused."""
_MEND = "Synchronise the clock: timedatectl set-ntp true"


async def slack(facts: Facts) -> list[Finding]:
    """Compare with the `Date` of Slack's answers."""
    answer = await facts.slack.ask("auth.test")
    if not answer.came:
        raise Unreadable(f"{answer.error}.")
    return [_judged(Check.SLACK_CLOCK, "Slack", answer.ahead)]


async def turso(facts: Facts) -> list[Finding]:
    """Compare with the `Date` of Turso's answers."""
    secrets = [*facts.settings.turso_group_tokens.values(), facts.settings.turso_api_token]
    token = next(secret.get_secret_value() for secret in secrets if secret is not None)
    answer = await facts.turso.get("/v1/auth/validate", token)
    if not answer.came:
        raise Unreadable(f"{answer.error}.")
    return [_judged(Check.TURSO_CLOCK, "Turso", answer.ahead)]


async def database(facts: Facts) -> list[Finding]:
    """Compare with the time by which expiries, leases and grants are decided."""
    if facts.settings.database_url.get_backend_name() == "sqlite":
        return [ok(Check.DATABASE_CLOCK, "A file has this machine's clock.")]
    try:
        _, ahead = await facts.standing()
    except DatabaseError as error:
        raise Unreadable(str(error)) from None
    return [_judged(Check.DATABASE_CLOCK, "the database", ahead)]


def _judged(check: Check, whose: str, ahead: float | None) -> Finding:
    if ahead is None:
        return skipped(check, f"The answer of {whose} did not say what time it is.")
    apart, which = abs(ahead), "behind" if ahead > 0 else "ahead of"
    if apart <= WARN_SECONDS:
        return ok(check, f"The clocks are {apart:.0f} s apart.")
    found = f"This machine's clock is {apart:.0f} s {which} that of {whose}."
    if apart <= FAIL_SECONDS:
        return warning(check, found, _MEND)
    return failure(check, f"{found} Beyond 300 s a signed request counts as a replay.", _MEND)
