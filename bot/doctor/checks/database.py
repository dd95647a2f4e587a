"""Check that the database can be used, protects its history, and carries the right seal."""

from collections.abc import Sequence
from itertools import pairwise

from bot.config import Settings
from bot.doctor.context import CheckContext
from bot.doctor.findings import Check, Finding, failure, ok, warning
from bot.domain.errors import DatabaseError, SettingsError
from bot.domain.events import Action
from bot.store.key_check import check_key
from bot.trail.chain import UNKEYED, Row, Seal

_SCHEMA_FIXES = {
    "newer": "Install the version that migrated it, or a later one.",
    "unreleased": "Move it away, or set another DATABASE_URL; then: turso-rotate migrate",
}
"""What to do about a schema, by a word of how it differs; otherwise migrate it."""


async def check_database_reachable(context: CheckContext) -> list[Finding]:
    """Check that the database answers."""
    url = context.settings.database_url
    name = f"the file {url.database}" if context.uses_sqlite else f"{url.database} on {url.host or 'this machine'}"
    try:
        await context.status_and_clock()
    except DatabaseError as error:
        fix = "Start the database, or correct DATABASE_URL. To create a new one: turso-rotate migrate"
        return [failure(Check.DATABASE_REACHABLE, f"{error} DATABASE_URL is {name}.", fix)]
    return [ok(Check.DATABASE_REACHABLE, f"The database answers: {name}.")]


async def check_database_schema(context: CheckContext) -> list[Finding]:
    """Check that the schema is this version's."""
    mismatch = (await context.status()).mismatch
    if not mismatch:
        return [ok(Check.DATABASE_SCHEMA, "The schema matches this version.")]
    fix = next((fix for word, fix in _SCHEMA_FIXES.items() if word in mismatch), "turso-rotate migrate")
    return [failure(Check.DATABASE_SCHEMA, mismatch.partition(":")[0].rstrip(".") + ".", fix)]


async def check_database_guards(context: CheckContext) -> list[Finding]:
    """Check that the triggers that protect history are in place."""
    broken = (await context.migrated_status()).broken_triggers
    if not broken:
        return [ok(Check.DATABASE_GUARDS, "The triggers that protect history are in place.")]
    found = f"Triggers that protect history are missing, disabled or changed: {', '.join(sorted(broken))}."
    fix = "Find out who removed them, run turso-rotate audit verify, and restore them as docs/doctor.md describes."
    return [failure(Check.DATABASE_GUARDS, found, fix)]


async def check_audit_key(context: CheckContext) -> list[Finding]:
    """Check that the audit trail is sealed with a key."""
    return [audit_key_finding(context.settings)]


def audit_key_finding(settings: Settings) -> Finding:
    """Return whether the owner of the database could forge the audit trail, or the key is another than was meant."""
    if settings.seal().quoted:
        fix = (
            "Write it without quotes: docker keeps those of an --env-file. If rows have it already, leave it as it is."
        )
        return warning(Check.AUDIT_KEY, "The value of AUDIT_KEY begins and ends with a quote.", fix)
    if settings.audit_key is not None:
        return ok(Check.AUDIT_KEY, "AUDIT_KEY is set: nobody can forge the audit trail without it.")
    found = "AUDIT_KEY is not set: anyone who can write to the database can recompute the audit trail's hashes."
    return warning(Check.AUDIT_KEY, found, "Set AUDIT_KEY, for example to the output of: openssl rand -hex 32")


async def check_audit_seal(context: CheckContext) -> list[Finding]:
    """Check that the newest rows of the audit trail carry the seal of this key."""
    rows, settings = await context.newest_rows(), context.settings
    try:
        await check_key(context.database, settings.seal())
    except SettingsError as error:
        fix = (
            "Set the AUDIT_KEY that the trail is written with, or serve will not start; then: turso-rotate audit verify"
        )
        return [failure(Check.AUDIT_SEAL, str(error).partition(". ")[0] + ".", fix)]
    return [_seal_finding(rows, (settings.seal(), *settings.earlier_seals()))]


def _seal_finding(rows: Sequence[Row], seals: Sequence[Seal]) -> Finding:
    """Check that consecutive rows carry the seal, and the hash of the row before; the first seal is in force."""
    if not rows:
        return ok(Check.AUDIT_SEAL, "The audit trail is empty.")
    changed = max((row.seq for row in rows if row.action == Action.REKEYED), default=0)
    bad = [row for row in rows if row.seq > changed and not seals[0].matches(row)]
    if len(seals) > 1:
        bad += [row for row in rows if row.seq <= changed and not any(seal.matches(row) for seal in seals[1:])]
    bad += [after for before, after in pairwise(rows) if after.prev_hash != before.hash]
    if not bad:
        return ok(Check.AUDIT_SEAL, f"The newest rows of the audit trail, up to row {rows[-1].seq}, verify.")
    row = bad[0]
    if seals[0].keyed and UNKEYED.matches(row):
        found = f"Row {row.seq} of the audit trail is sealed without a key, although AUDIT_KEY is set."
        fix = "If the key is new, do nothing. Otherwise set it on every replica and run: turso-rotate audit verify"
        return warning(Check.AUDIT_SEAL, found, fix)
    found = f"Row {row.seq} of the audit trail does not verify: it was changed, or sealed with another key."
    fix = "Find out who changed it. To see all that was changed: turso-rotate audit verify"
    return failure(Check.AUDIT_SEAL, found, fix)
