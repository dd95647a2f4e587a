"""Check that the database can be used, protects its history, and carries the right seal."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise

from bot.config import Settings
from bot.database_url import database_hosts
from bot.doctor.context import CheckContext
from bot.doctor.findings import CannotCheck, Check, Finding, failure, ok, warning
from bot.domain.errors import DatabaseError, DatabaseUnavailable, SettingsError
from bot.domain.events import Action
from bot.store.damage import quick_damage
from bot.store.driver_errors import DAMAGED
from bot.store.guards import GUARDS_FIX
from bot.store.inspection import weak_settings
from bot.store.key_check import check_key
from bot.trail.chain import UNKEYED, Row, Seal

_QUICK_SECONDS = 3.0
"""How long to look for damage in a SQLite file."""
_SCHEMA_FIXES = {
    "newer": "Install the version that migrated it, or a later one.",
    "unreleased": "Move it away, or set another DATABASE_URL; then: turso-rotate migrate",
}
"""What to do about a schema, by a word of how it differs; otherwise migrate it."""
_WRITABLE_FIXES = {
    "standby": "Set DATABASE_URL to the primary, or to all servers: ?host=a,b&target_session_attrs=read-write",
    "default_transaction_read_only": "Find out why; then ALTER DATABASE … RESET default_transaction_read_only",
    "role lacks": "As the owner of the tables, run docs/postgresql-role.sql again.",
    "mode=ro": "Set mode=rw.",
    "read-only, or missing": "Let the bot's account write to the file and to its folder.",
}
"""What to do about a database that refuses writes, by words of why."""
_DAMAGED_FIX = "Stop the bot, and restore a backup as docs/backup.md describes. For details: turso-rotate audit verify"
_REACHABLE_FIXES = {
    "locked": "SELECT * FROM pg_stat_activity shows who holds the lock, and pg_terminate_backend(pid) ends it.",
    "no such database": "Correct DATABASE_URL, or create the database; then: turso-rotate migrate",
    "docs/postgresql-role.sql": "As the owner of the tables, run docs/postgresql-role.sql.",
    "login": "Correct the user and the password in DATABASE_URL.",
}
"""What to do about a database that does not let the bot read, by words of why."""
_WEAK = {
    "synchronous_commit": "a crash loses the newest commits. The bot raises it to on in its own transactions.",
    "fsync": "a crash of the machine can lose commits, or the whole database.",
    "full_page_writes": "a crash of the machine can damage the database.",
}


def _fix(fixes: Mapping[str, str], words: str, otherwise: str) -> str:
    """Choose what to do by a word of what is wrong."""
    return next((fix for word, fix in fixes.items() if word in words), otherwise)


async def check_database_reachable(context: CheckContext) -> list[Finding]:
    """Check that the database answers."""
    url = context.settings.database_url
    hosts = " or ".join(database_hosts(url)) or "this machine"
    name = f"the file {url.database}" if context.uses_sqlite else f"{url.database} on {hosts}"
    try:
        status, _ = await context.status_and_clock()
        damage = await asyncio.to_thread(quick_damage, url, _QUICK_SECONDS) if context.uses_sqlite else ()
        if damage:
            raise DatabaseUnavailable(DAMAGED)
    except DatabaseError as error:
        other = "Start the database, or correct DATABASE_URL. To create a new one: turso-rotate migrate"
        fixes = {DAMAGED: _DAMAGED_FIX} if context.uses_sqlite else _REACHABLE_FIXES
        fix = _fix(fixes, str(error), other)
        cause = f" The driver says: {error.cause}" if error.cause else ""
        return [failure(Check.DATABASE_REACHABLE, f"{error} DATABASE_URL is {name}.{cause}", fix)]
    pooler = " A pooler stands between: the bot sets its limits in each transaction." if status.is_pooled else ""
    rest = " It was too large to look for damage: turso-rotate audit verify does." if damage is None else ""
    return [ok(Check.DATABASE_REACHABLE, f"The database answers: {name}.{pooler}{rest}")]


async def check_database_writable(context: CheckContext) -> list[Finding]:
    """Check that the bot may write."""
    await context.status()
    try:
        await context.database.check_writable()
    except DatabaseError as error:
        fix = _fix(_WRITABLE_FIXES, str(error), "Run the doctor again.")
        return [failure(Check.DATABASE_WRITABLE, str(error), fix)]
    return [ok(Check.DATABASE_WRITABLE, "The bot may write to the database.")]


async def check_database_durability(context: CheckContext) -> list[Finding]:
    """Check that a crash of the database loses nothing that it confirmed."""
    await context.status()
    try:
        weak = await weak_settings(context.database)
    except DatabaseError as error:
        raise CannotCheck(str(error)) from None
    found = [
        warning(Check.DATABASE_DURABILITY, f"{name} is {value}: {_WEAK[name]}", f"Set {name} = on.", name)
        for name, value in weak.items()
    ]
    return found or [ok(Check.DATABASE_DURABILITY, "What the database confirms survives its crash.")]


async def check_database_schema(context: CheckContext) -> list[Finding]:
    """Check that the schema is this version's."""
    mismatch = (await context.status()).mismatch
    if not mismatch:
        return [ok(Check.DATABASE_SCHEMA, "The schema matches this version.")]
    fix = _fix(_SCHEMA_FIXES, mismatch, "turso-rotate migrate")
    return [failure(Check.DATABASE_SCHEMA, mismatch.partition(":")[0].rstrip(".") + ".", fix)]


async def check_database_guards(context: CheckContext) -> list[Finding]:
    """Check that the triggers and unique indexes that protect history are in place."""
    broken = (await context.migrated_status()).broken_guards
    if not broken:
        return [ok(Check.DATABASE_GUARDS, "The triggers and indexes that protect history are in place.")]
    found = f"What protects history is missing, disabled or changed, or was added to: {', '.join(sorted(broken))}."
    return [failure(Check.DATABASE_GUARDS, found, GUARDS_FIX)]


_WHO = "Find out who did it. To see all that was changed: turso-rotate audit verify"


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
        forged = await check_key(context.database, settings.seal())
    except SettingsError as error:
        fix = (
            "Set the AUDIT_KEY that the trail is written with, or serve will not start; then: turso-rotate audit verify"
        )
        return [failure(Check.AUDIT_SEAL, str(error).partition(". ")[0] + ".", fix)]
    if forged:
        return [failure(Check.AUDIT_SEAL, forged.partition(". ")[0] + ".", _WHO)]
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
    return failure(Check.AUDIT_SEAL, found, _WHO)
