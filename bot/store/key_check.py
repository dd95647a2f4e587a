"""Refuse to extend an audit trail with another key than its own, or without it: such rows would never verify."""

from bot.domain.errors import KeyChanged, SettingsError
from bot.store.database import Database
from bot.store.inspection import newest_change_of_key, newest_rows
from bot.trail.chain import QUOTED, UNKEYED, Seal

_NEVER = "Rows written with another key would never verify."
_FIX = (
    "Set the AUDIT_KEY that the trail is written with, then run: turso-rotate audit verify "
    "(to change it on purpose: turso-rotate audit rekey)"
)

_PAGE = 1000


async def check_key(database: Database, seal: Seal) -> str:
    """Check that rows written with this key continue the trail; its first key may come when there are rows already.

    Return a warning if the newest rows are somebody else's, or nothing: whoever may append rows without knowing the key
    must not keep the bot from working. Raises `SettingsError`, and `DatabaseError`.
    """
    newest = await newest_rows(database, 1)
    if not newest:
        return ""
    row, change = newest[0], await newest_change_of_key(database)
    if change is not None and change.fingerprint != seal.fingerprint and seal.keyed:
        raise SettingsError(
            f"AUDIT_KEY is not the key of the audit trail: row {change.seq} changed the key to the one with the "
            f"fingerprint {change.fingerprint}, and this one has {seal.fingerprint}. {_NEVER} "
            f"Set AUDIT_KEY to the new key, and AUDIT_KEYS_BEFORE to the earlier ones.{_quoted(seal)}"
        )
    if seal.matches(row) or (change is not None and seal.keyed and change.seq == row.seq):
        return ""
    if not seal.keyed:
        raise SettingsError(
            f"AUDIT_KEY is not set, but row {row.seq} of the audit trail was written with a key, or was changed. "
            "Rows written without the key would never verify. Set the AUDIT_KEY that the trail is written with, "
            "then run: turso-rotate audit verify"
        )
    if change is None and UNKEYED.matches(row):
        return ""
    since = 0 if change is None else change.seq
    sound = await newest_sealed(database, seal, since)
    if sound is None and change is None:
        raise SettingsError(
            f"AUDIT_KEY is not the key of the audit trail: row {row.seq} was written with another one, or was changed. "
            f"{_NEVER} {_FIX}{_quoted(seal)}"
        )
    return _forged((sound or since) + 1, row.seq)


async def newest_sealed(database: Database, seal: Seal, since: int = 0) -> int | None:
    """Return the number of the newest row after row `since` that verifies with this key. Raises `DatabaseError`."""
    before = None
    while rows := await newest_rows(database, _PAGE, before):
        found = next((row.seq for row in reversed(rows) if row.seq > since and seal.matches(row)), None)
        if found is not None or rows[0].seq <= since:
            return found
        before = rows[0].seq
    return None


async def refuse_changed_key(database: Database, seal: Seal) -> None:
    """Check that nobody has changed the key since. Raises `KeyChanged`, and other `DatabaseError`s."""
    change = await newest_change_of_key(database)
    if change is not None and change.fingerprint != seal.fingerprint:
        raise KeyChanged


def _quoted(seal: Seal) -> str:
    return f" {QUOTED}" if seal.quoted else ""


def _forged(first: int, last: int) -> str:
    rows = f"Row {last} of the audit trail does" if first == last else f"Rows {first} to {last} of the audit trail do"
    what = "it was changed or forged" if first == last else "they were changed or forged"
    return f"{rows} not verify under AUDIT_KEY: {what}. Run: turso-rotate audit verify"
