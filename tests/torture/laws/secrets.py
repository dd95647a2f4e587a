"""Law 7: no secret in any row, message or line of the log."""

from collections.abc import Iterator

from tests.torture.facts import Facts
from tests.torture.laws.violation import Violation


def none_left(facts: Facts) -> Iterator[Violation]:
    """Look for every secret everywhere."""
    places = {
        "the trail": "\n".join(f"{row}" for row in facts.rows),
        "the table of rotations": "\n".join(f"{rotation}" for rotation in facts.rotations),
        "a message": "\n".join(version.text for version in facts.messages),
        "the log": "".join(facts.logs),
    }
    for what, secret in facts.secrets.items():
        for place, text in places.items():
            if secret in text:
                yield Violation(7, f"{what} stands in {place}")
