"""Laws 8, 9 and 10: acknowledgements, cards, and what people were told in the end."""

import itertools
from collections.abc import Iterator

from tests.torture.facts import Facts
from tests.torture.laws.truth import announcements
from tests.torture.laws.violation import Violation
from tests.torture.laws.words import BUG, CALLED, JUDGEMENT, NOT_SAVED, TOLD, card_claims

_ACK_SECONDS = 3.0
_AFTERMATH_SECONDS = 2.0
"""How long it takes until Slack reaches a process again that was away."""
_HANDLING_SECONDS = 8.0
"""How long a notification may be on its way, so that a fault in that time may have it delivered twice."""


def acknowledged_in_time(facts: Facts) -> Iterator[Violation]:
    """Find late acknowledgements of processes that were not away; a slow database is no excuse."""
    for action in facts.user_actions:
        since, until = action.at - _AFTERMATH_SECONDS, action.at + _ACK_SECONDS
        away = facts.fault_between(since, until, "replica", replica=action.replica)
        away = away or facts.fault_between(since, until, "sockets")
        if not away and (not action.acknowledged or action.seconds > _ACK_SECONDS):
            what = f"{action.what!r} by {action.person} was not acknowledged in time ({action.seconds:.2f} s)"
            yield Violation(8, what, None, action.at, action.person)


def cards_settled(facts: Facts) -> Iterator[Violation]:
    """Find cards that have buttons after the end and one more press."""
    for version in facts.last_versions:
        if version.buttons:
            state = {rotation.id: rotation.state for rotation in facts.rotations}.get(version.buttons[0], "not known")
            reader = version.to or version.channel
            what = f"message {version.message} still has buttons for {reader}, and the rotation is {state}"
            yield Violation(9, what, version.buttons[0], version.at, version.to)


def nothing_pending(facts: Facts) -> Iterator[Violation]:
    """Find what still rotates after the quiet period, waits beyond its expiry, or is not delivered."""
    for rotation in facts.rotations:
        overdue = rotation.state == "requested" and rotation.expires_at < facts.read_at - _AFTERMATH_SECONDS
        if rotation.state == "rotating" or overdue:
            yield Violation(10, f"it is still {rotation.state}", rotation.id)
    for left in facts.undelivered:
        yield Violation(10, f"nobody was told: {left}", left.rpartition(" ")[2])


def everybody_told(facts: Facts) -> Iterator[Violation]:
    """Find ends that the channel or the requester did not hear of, or the channel twice without any fault."""
    told = announcements(facts)
    heard = {
        (rotation_id, card_claims(version.text))
        for version in facts.messages
        if version.to is not None and NOT_SAVED not in version.text
        for rotation_id in version.rotations
    }
    for rotation in facts.rotations:
        versions = told.get((rotation.id, rotation.state), [])
        if rotation.state in CALLED and not versions:
            yield Violation(10, f"the channel was not told that it {rotation.state}", rotation.id)
        for first, again in itertools.pairwise(versions):
            since, until = first.at - _HANDLING_SECONDS, first.at + _AFTERMATH_SECONDS
            disturbed = facts.fault_between(since, until, "replica", "database", "slack", "sockets")
            if not disturbed and not again.text.startswith(JUDGEMENT):
                yield Violation(10, f"the channel was told twice that it {rotation.state}", rotation.id, again.at)
        if rotation.state in TOLD and (rotation.id, rotation.state) not in heard:
            yield Violation(10, f"{rotation.user_id} was not told that it {rotation.state}", rotation.id)


def no_bugs(facts: Facts) -> Iterator[Violation]:
    """Find bugs in the log, and processes that ended by themselves."""
    for line in facts.logs:
        if BUG in line:
            yield Violation(0, line.strip()[:2000])
    for each in facts.unexpected:
        if not each.startswith("audit verify"):
            yield Violation(0, each)
