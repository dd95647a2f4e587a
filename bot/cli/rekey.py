"""`audit rekey`: change the key of the audit trail."""

import sys

import typer

from bot.cli.database import load_settings, require_organization, with_database
from bot.cli.operator import operator
from bot.config import DatabaseSettings, fault_of_key
from bot.domain.errors import UsageError
from bot.domain.events import Action, Event
from bot.store.rekeying import change_key, require_key_in_force
from bot.trail.chain import QUOTED, Seal

_NEXT = """Row {seq} of the audit trail changed the key, and is the last one under the old key. From now on nothing is
written with the old key: the bot refuses every request until it has the new one. Do this next, in this order:
1. Stop the bot, every replica of it.
2. Wherever AUDIT_KEY is set, set it to the new key (fingerprint {fingerprint}), and set AUDIT_KEYS_BEFORE
   to the earlier keys as a JSON array, oldest first{last}.
3. Start the bot, and run: turso-rotate audit verify
Note the head, and keep it where nobody who can write to the database can change it: {head}"""


def rekey_trail() -> None:
    """Change the key of the audit trail.

    The new key is asked for without showing it, or read as one line from standard input; the current one must be in
    AUDIT_KEY. The change is recorded under the current key. The bot must be restarted with the new key afterwards.
    """
    settings = load_settings()
    organization, seal = require_organization(settings), settings.seal()
    with_database(settings, lambda database: require_key_in_force(database, seal))
    new = _new_key(settings)
    detail = {"fingerprint": new.fingerprint, "replaces": seal.fingerprint}
    event = Event(Action.REKEYED, operator(), organization, detail=detail)
    head = with_database(settings, lambda database: change_key(database, seal, event), writes=True)
    last = ": the one that was replaced is the last" if settings.audit_keys_before else ""
    typer.echo(_NEXT.format(seq=head.seq, fingerprint=new.fingerprint, last=last, head=head))


def _new_key(settings: DatabaseSettings) -> Seal:
    """Ask for the new key, twice at a terminal. Raises `UsageError` if it cannot be one."""
    try:
        typed = _typed().strip()
        fault = fault_of_key(typed)
    except UnicodeError:
        typed, fault = "", fault_of_key("\0")
    if fault is not None:  # raised here so that not even its context holds what was typed
        raise UsageError(f"A key {fault}.")
    new = Seal(typed.encode())
    if new.quoted:
        raise UsageError(QUOTED)
    if new.fingerprint in {each.fingerprint for each in (settings.seal(), *settings.earlier_seals())}:
        raise UsageError("That key is the current one, or an earlier one. Choose a new one: openssl rand -hex 32")
    return new


def _typed() -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        return str(typer.prompt("New key", hide_input=True, confirmation_prompt="The same again", err=True))
    return "" if sys.stdin is None else sys.stdin.readline()
