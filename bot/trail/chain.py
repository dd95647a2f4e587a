r"""The canonical form of an audit row, and the hash that seals it and chains it to its predecessor.

The canonical form is one line of JSON, the same line that `audit export` writes, without its last member:

    {"seq":1,"at":"2026-10-01T08:00:00.000000Z","action":"rotation.denied","actor":{"team_id":"T1","user_id":"U1"},
    "organization":"acme","group":"payments","rotation_id":null,"detail":{},"delivery":null,"prev_hash":"000…"}

(no line break, no blanks between tokens, members in this order). Strings are JSON strings in which `"`, `\` and the
control characters below U+0020 are escaped (`\b \f \n \r \t`, otherwise `\u00xx` in lower case) and nothing else.
`at` is RFC 3339 in UTC with six decimals. `detail` is the object as it is stored: sorted by name, compact. `prev_hash`
is the `hash` of row `seq - 1`, and 64 zeros for the first row.

`hash` is the SHA-256 of the version byte 0x01 and the line in UTF-8 or, with a key, the HMAC-SHA-256 of the same bytes,
in 64 lower-case hexadecimal digits. It seals the row: a change to the row, or to any row before it, no longer fits it.
"""

import hashlib
import hmac
import json
from json.encoder import encode_basestring as _quoted
from typing import Any, NamedTuple

VERSION = b"\x01"
"""The canonical form's version; any change to the form must change it."""
_FINGERPRINT = b"turso-rotate audit key:"
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
GENESIS = "0" * 64
"""The `prev_hash` of the first row."""


class Row(NamedTuple):
    """An audit row as the database holds it, with `at` and `detail` as canonical text."""

    seq: int
    at: str
    action: str
    team_id: str
    user_id: str
    organization: str
    group: str | None
    rotation_id: str | None
    detail: str
    delivery: str | None
    prev_hash: str
    hash: str = ""


class Seal:
    """Computes the hash of rows: a SHA-256, or with a key an HMAC, which only holders of the key can compute."""

    __slots__ = ("_begun", "fingerprint", "keyed", "quoted")

    def __init__(self, key: bytes | None = None) -> None:
        self.keyed = key is not None
        self.fingerprint = None if key is None else hashlib.sha256(_FINGERPRINT + key).hexdigest()[:16]
        """Tells keys apart without showing them: 16 hexadecimal digits, as rows that change the key name the next."""
        self.quoted = key is not None and key[:1] == key[-1:] and key[:1] in {b'"', b"'"}
        """Whether the key begins and ends with a quote, which then is part of it."""
        self._begun = hashlib.sha256(VERSION) if key is None else hmac.new(key, VERSION, hashlib.sha256)

    def hash(self, row: Row) -> str:
        """Return the hash that the row must have: 64 hexadecimal digits.

        Raises `TypeError` or `ValueError` if a column holds what the bot never writes.
        """
        digest = self._begun.copy()
        digest.update(canonical(row).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def matches(self, row: Row) -> bool:
        """Return whether the row has the hash that it must have; never, if it holds what the bot never writes."""
        try:
            return self.hash(row) == row.hash
        except (TypeError, ValueError):
            return False


def canonical(row: Row) -> str:
    """Return the canonical form. Raises `TypeError` or `ValueError` if a column holds what the bot never writes."""
    seq, at, action, team, user, organization, group, rotation, detail, delivery, prev_hash, _ = row
    return (
        f'{{"seq":{seq:d},"at":{_quoted(at)},"action":{_quoted(action)},'
        f'"actor":{{"team_id":{_quoted(team)},"user_id":{_quoted(user)}}},"organization":{_quoted(organization)},'
        f'"group":{"null" if group is None else _quoted(group)},'
        f'"rotation_id":{"null" if rotation is None else _quoted(rotation)},"detail":{detail},'
        f'"delivery":{"null" if delivery is None else _quoted(delivery)},"prev_hash":{_quoted(prev_hash)}}}'
    )


def line(row: Row) -> str:
    """Return a sealed row as a line of an export: its canonical form with the hash as the last member."""
    return f'{canonical(row)[:-1]},"hash":{_quoted(row.hash)}}}'


def detail_text(detail: object) -> str:
    """Return a detail as it is stored: sorted and compact, so that equal details are equal bytes."""
    return _ENCODER.encode(detail)


def parse_detail(detail: Any) -> dict[str, object] | None:
    """Read a stored object; `None` if it is none: the bot writes no such thing."""
    try:
        found = json.loads(detail)
    except (TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def named_key(detail: object, member: str = "fingerprint") -> str | None:
    """Return the fingerprint of the key that the detail of a row which changes the key names, if it names one.

    The member `replaces` names the key until then.
    """
    named = (parse_detail(detail) or {}).get(member)
    return named if isinstance(named, str) else None


QUOTED = "Its value begins and ends with a quote: docker keeps the quotes of an --env-file, so write it without them."
"""What to say of a key that does not fit and stands in quotes."""
UNKEYED = Seal()
"""The seal without a key."""
