"""Whether the database can be used, guards its history, and carries the right seal."""

from collections.abc import Sequence
from itertools import pairwise

from bot.config import Settings
from bot.doctor.facts import Facts
from bot.doctor.findings import Check, Finding, Unreadable, failure, ok, warning
from bot.domain.errors import DatabaseError
from bot.store.inspection import DatabaseStatus
from bot.trail.chain import UNKEYED, Row, Seal


async def reachable(facts: Facts) -> list[Finding]:
    """See whether the database answers."""
    url = facts.settings.database_url
    is_file = url.get_backend_name() == "sqlite"
    name = f"the file {url.database}" if is_file else f"{url.database} on {url.host or 'this machine'}"
    try:
        await facts.standing()
    except DatabaseError as error:
        fix = "Start it, or fix DATABASE_URL. A new one is made by: turso-rotate migrate"
        return [failure(Check.DATABASE, f"{error} DATABASE_URL is {name}.", fix)]
    return [ok(Check.DATABASE, f"The database answers: {name}.")]


async def schema(facts: Facts) -> list[Finding]:
    """See whether the tables are this version's."""
    standing = await _standing(facts)
    if not standing.mismatch:
        return [ok(Check.SCHEMA, "The tables are this version's.")]
    newer = "newer" in standing.mismatch
    fix = "Install the version that migrated it, or a later one." if newer else "turso-rotate migrate"
    return [failure(Check.SCHEMA, standing.mismatch.partition(":")[0].rstrip(".") + ".", fix)]


async def guards(facts: Facts) -> list[Finding]:
    """See whether the triggers that keep history as it is are in place."""
    standing = await _standing(facts)
    if standing.mismatch:
        raise Unreadable("The database's schema is not this version's.")
    if not standing.broken_triggers:
        return [ok(Check.GUARDS, "The triggers that protect history are in place.")]
    names = ", ".join(sorted(standing.broken_triggers))
    fix = "Find out who removed them; turso-rotate audit verify; put them back as docs/doctor.md says."
    return [failure(Check.GUARDS, f"Triggers that protect history are missing, disabled or changed: {names}.", fix)]


async def audit_key(facts: Facts) -> list[Finding]:
    """See whether the chain of hashes is keyed."""
    return judged_key(facts.settings)


def judged_key(settings: Settings) -> list[Finding]:
    """Say whether the chain can be forged by whoever owns the database."""
    if settings.audit_key is not None:
        return [ok(Check.AUDIT_KEY, "AUDIT_KEY is set: nobody without it can forge the audit trail.")]
    found = "AUDIT_KEY is not set: whoever owns the database can compute the audit trail's hashes anew."
    return [warning(Check.AUDIT_KEY, found, "Set AUDIT_KEY, for example to the output of: openssl rand -hex 32")]


async def seal(facts: Facts) -> list[Finding]:
    """See whether the newest rows of the audit trail carry this key's seal."""
    return [judged_seal(await facts.newest_rows(), facts.settings.seal())]


def judged_seal(rows: Sequence[Row], seal: Seal) -> Finding:
    """Say whether rows that follow each other carry the seal, and name their predecessors."""
    if not rows:
        return ok(Check.SEAL, "The audit trail is empty.")
    unfit = [row for row in rows if not _carries(row, seal)]
    unfit += [after for before, after in pairwise(rows) if after.prev_hash != before.hash]
    if not unfit:
        return ok(Check.SEAL, f"The newest rows of the audit trail, up to {rows[-1].seq}, carry the right seal.")
    row = unfit[0]
    if seal.keyed and _carries(row, UNKEYED):
        found = f"Row {row.seq} of the audit trail is sealed without a key, though AUDIT_KEY is set."
        fix = "Nothing, if the key is new; else set it on every replica, and look: turso-rotate audit verify"
        return warning(Check.SEAL, found, fix)
    found = f"Row {row.seq} of the audit trail does not verify: it was changed, or sealed with another key."
    return failure(
        Check.SEAL, found, "Set the AUDIT_KEY the trail is written with, and look: turso-rotate audit verify"
    )


def _carries(row: Row, seal: Seal) -> bool:
    return seal.hash(row) == row.hash


async def _standing(facts: Facts) -> DatabaseStatus:
    try:
        return (await facts.standing())[0]
    except DatabaseError:
        raise Unreadable("The database cannot be read.") from None
