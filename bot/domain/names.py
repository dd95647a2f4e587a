"""Text that people typed: what may be a name, and a form that every database stores."""

import re

# PostgreSQL takes neither NUL nor lone surrogates; no reason and no note needs any other control character.
_UNSTORABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

GROUP_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What may be the name of a group, all of it: anything else that is typed is hostile until it has matched."""


def storable(text: str) -> str:
    """Replace what no database stores by the replacement character, and other white space by blanks."""
    return re.sub(r"[\t\n]", " ", _UNSTORABLE.sub("\ufffd", text))
