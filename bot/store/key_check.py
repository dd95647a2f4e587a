"""Refuse to continue a chain of hashes with rows that could never be verified together with those before."""

from bot.domain.errors import SettingsError
from bot.store.checkup import newest_rows
from bot.store.database import Database
from bot.trail.chain import UNKEYED, Seal

ANOTHER_KEY = (
    "The newest row of the audit trail is sealed with another key than AUDIT_KEY. If the key was not changed on "
    "purpose, set the one that the trail is written with: rows under two keys do not verify together."
)


async def check(database: Database, seal: Seal) -> bool:
    """Say whether the newest row carries the seal, or none from before there was a key; another key may be on purpose.

    Raises `SettingsError` where it is keyed and there is no key here, and `DatabaseError`.
    """
    newest = await newest_rows(database, 1)
    if not newest or seal.hash(newest[0]) == newest[0].hash:
        return True
    if not seal.keyed:
        raise SettingsError(
            f"AUDIT_KEY is not set, but row {newest[0].seq} of the audit trail is sealed with a key, or was changed: "
            "what is written without the key would never verify. Set the AUDIT_KEY that the trail is written with, "
            "and look: turso-rotate audit verify"
        )
    return UNKEYED.hash(newest[0]) == newest[0].hash
