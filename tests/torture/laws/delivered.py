"""Laws 8, 9 and 10: acknowledgements, cards, and what people were told in the end."""

from collections.abc import Iterator

from tests.torture.facts import Facts
from tests.torture.laws.truth import announcements
from tests.torture.laws.violation import Violation
from tests.torture.laws.words import BUG, CALLED, NOT_SAVED, TOLD, card_claims

_ACK_SECONDS = 3.0
_AFTERMATH_SECONDS = 2.0
"""How long it takes until Slack reaches a process again that was away."""
_HANDLING_SECONDS = 8.0
"""How long a notification may be on its way, so that a trouble in that time may have it delivered twice."""


def acknowledged_in_time(facts: Facts) -> Iterator[Violation]:
    """Slack had its answer within three seconds, unless the process was away; a slow database is no excuse."""
    for act in facts.acts:
        away = facts.troubled(act.at - _AFTERMATH_SECONDS, act.at + _ACK_SECONDS, "replica", replica=act.replica)
        away = away or facts.troubled(act.at - _AFTERMATH_SECONDS, act.at + _ACK_SECONDS, "sockets")
        if not away and (not act.acknowledged or act.seconds > _ACK_SECONDS):
            what = f"{act.what!r} by {act.person} was not acknowledged in time ({act.seconds:.2f} s)"
            yield Violation(8, what, None, act.at, act.person)


def cards_settled(facts: Facts) -> Iterator[Violation]:
    """After the end, and one more press on each, no card has a button."""
    for said in facts.last_versions:
        if said.buttons:
            state = {rotation.id: rotation.state for rotation in facts.rotations}.get(said.buttons[0], "not known")
            what = (
                f"message {said.message} still has buttons for {said.to or said.channel}, and the rotation is {state}"
            )
            yield Violation(9, what, said.buttons[0], said.at, said.to)


def nothing_pending(facts: Facts) -> Iterator[Violation]:
    """After the quiet period nothing is rotating, nothing waits beyond its expiry, and the outbox is empty."""
    for rotation in facts.rotations:
        overdue = rotation.state == "requested" and rotation.expires_at < facts.read_at - _AFTERMATH_SECONDS
        if rotation.state == "rotating" or overdue:
            yield Violation(10, f"it is still {rotation.state}", rotation.id)
    for left in facts.undelivered:
        yield Violation(10, f"nobody was told: {left}", left.rpartition(" ")[2])


def everybody_told(facts: Facts) -> Iterator[Violation]:
    """The channel hears of each end once, or again only after a trouble; the requester hears of each end too."""
    told = announcements(facts)
    heard = {
        (rotation_id, card_claims(said.text))
        for said in facts.said
        if said.to is not None and NOT_SAVED not in said.text
        for rotation_id in said.rotations
    }
    for rotation in facts.rotations:
        said = told.get((rotation.id, rotation.state), [])
        if rotation.state in CALLED and not said:
            yield Violation(10, f"the channel was not told that it {rotation.state}", rotation.id)
        for first, again in zip(said, said[1:], strict=False):
            since, until = first.at - _HANDLING_SECONDS, first.at + _AFTERMATH_SECONDS
            if not facts.troubled(since, until, "replica", "database", "slack", "sockets"):
                yield Violation(10, f"the channel was told twice that it {rotation.state}", rotation.id, again.at)
        if rotation.state in TOLD and (rotation.id, rotation.state) not in heard:
            yield Violation(10, f"{rotation.user_id} was not told that it {rotation.state}", rotation.id)


def no_bugs(facts: Facts) -> Iterator[Violation]:
    """No bug in the log, and no process that ended by itself."""
    for line in facts.logs:
        if BUG in line:
            yield Violation(0, line.strip()[:2000])
    for each in facts.unexpected:
        if not each.startswith("audit verify"):
            yield Violation(0, each)
