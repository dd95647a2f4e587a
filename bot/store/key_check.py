"""Refuse to extend a keyed audit trail without its key: such rows would never verify."""

from bot.domain.errors import SettingsError
from bot.store.database import Database
from bot.store.inspection import newest_rows
from bot.trail.chain import UNKEYED, Seal

ANOTHER_KEY = "The newest row of the audit trail was written with a key other than AUDIT_KEY."
ANOTHER_KEY_FIX = (
    "If the key was not changed on purpose, set the old one again: rows under two keys do not verify together."
)


async def check_key(database: Database, seal: Seal) -> bool:
    """Return whether the newest row verifies, with the key or from before there was one; a new key may be on purpose.

    Raises `SettingsError` if that row needs a key and none is set, and `DatabaseError`.
    """
    newest = await newest_rows(database, 1)
    if not newest or seal.matches(newest[0]):
        return True
    if not seal.keyed:
        raise SettingsError(
            f"AUDIT_KEY is not set, but row {newest[0].seq} of the audit trail was written with a key, or was changed. "
            "Rows written without the key would never verify. Set the AUDIT_KEY that the trail is written with, "
            "then run: turso-rotate audit verify"
        )
    return UNKEYED.matches(newest[0])
