"""Law 3: rows and messages, against what Turso did and answered."""

from collections.abc import Iterator

from tests.torture.facts import Facts, MessageVersion, Row
from tests.torture.laws.calls import calls_of
from tests.torture.laws.violation import Violation
from tests.torture.laws.words import CALLED, NOT_SAVED, STATE_AFTER, card_claims, channel_claims

_SLOW_SECONDS = 1.0
"""A call that takes longer, with the tries that were answered with 429, may have run into its deadline."""
_AFTERMATH_SECONDS = 6.0
"""How long after a fault of the database an outcome may still be unsaved."""


def outcomes_are_true(facts: Facts) -> Iterator[Violation]:
    """Find *succeeded* without an answer that said so, and *failed* although the key was rotated."""
    calls = calls_of(facts)
    for row in facts.rows:
        mine = calls.get(row.rotation_id, []) if row.rotation_id else []
        if row.action == "rotation.succeeded" and not any(call.performed and call.success for call in mine):
            yield Violation(3, "it is recorded as succeeded, but Turso did not say so", row.rotation_id, row.time)
        if row.action == "rotation.failed" and any(call.performed for call in mine):
            yield Violation(3, "it is recorded as failed, but Turso rotated the key", row.rotation_id, row.time)


def messages_say_the_same(facts: Facts) -> Iterator[Violation]:
    """Find versions of messages that claimed an end which the trail does not have."""
    for version in facts.messages:
        claimed = channel_claims(version.text) if _is_announcement(facts, version) else card_claims(version.text)
        if claimed is None or NOT_SAVED in version.text:
            continue
        for rotation_id in version.rotations:
            recorded = {STATE_AFTER.get(row.action) for row in facts.stories.get(rotation_id, ())}
            if claimed not in recorded:
                yield Violation(3, f"people read that it {claimed}, which no row says", rotation_id, version.at)


def unknown_has_a_cause(facts: Facts) -> Iterator[Violation]:
    """Find *unknown* although Turso answered clearly and quickly, and nothing disturbed the bot."""
    calls = calls_of(facts)
    for row in facts.rows:
        if row.action != "rotation.unknown" or row.rotation_id is None:
            continue
        mine = calls.get(row.rotation_id, [])
        clear = mine and mine[-1].success and mine[-1].ended - mine[0].at < _SLOW_SECONDS
        since = _started(facts, row) - _AFTERMATH_SECONDS
        if clear and not facts.fault_between(since, row.time, "replica", "database"):
            yield Violation(3, "Turso answered clearly, but it is recorded as unknown", row.rotation_id, row.time)


def _started(facts: Facts, row: Row) -> float:
    story = facts.stories[str(row.rotation_id)]
    return next((each.time for each in story if each.action == "rotation.started"), row.time)


def _is_announcement(facts: Facts, version: MessageVersion) -> bool:
    return version.to is None and version.channel == facts.channel


def announcements(facts: Facts) -> dict[tuple[str, str], list[MessageVersion]]:
    """Return what the channel was told, by rotation and state, each message once."""
    told: dict[tuple[str, str], list[MessageVersion]] = {}
    for version in facts.last_versions:
        claimed = channel_claims(version.text) if _is_announcement(facts, version) else None
        if claimed in CALLED:
            for rotation_id in version.rotations:
                told.setdefault((rotation_id, claimed), []).append(version)
    return told
