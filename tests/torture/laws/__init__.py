"""The ten laws as checks: pure functions from facts to violations, which know nothing of the bot's code."""

from collections.abc import Callable, Iterable

from tests.torture.facts import Facts
from tests.torture.laws import calls, delivered, rights, rows, secrets, truth
from tests.torture.laws.violation import Violation

Check = Callable[[Facts], Iterable[Violation]]

CHECKS: tuple[Check, ...] = (
    calls.recorded_first,
    calls.called_once,
    calls.world_held,
    truth.outcomes_are_true,
    truth.messages_say_the_same,
    truth.unknown_has_a_cause,
    rights.granted_at_the_claim,
    rights.decided_by_the_requester,
    rows.every_user_action_left_one,
    rows.numbered_and_chained,
    rows.never_changed,
    rows.states_as_recorded,
    secrets.none_left,
    delivered.acknowledged_in_time,
    delivered.cards_settled,
    delivered.nothing_pending,
    delivered.everybody_told,
    delivered.no_bugs,
)


def violations(facts: Facts) -> list[Violation]:
    """Return every violation, in the order of the laws."""
    found = [each for check in CHECKS for each in check(facts)]
    return sorted(found, key=lambda violation: violation.law)
