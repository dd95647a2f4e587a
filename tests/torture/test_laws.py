"""The checker finds what is planted: in the facts of a real run, and in the bot itself."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bot.sandbox.faults import FixedResponse
from bot.sandbox.messages import PostedMessage
from bot.sandbox.workspace import Person
from tests.torture.evidence import evidence
from tests.torture.facts import ActiveFault, Change, Facts, GrantChange, MessageVersion, Row
from tests.torture.laws import CHECKS, violations
from tests.torture.laws.rows import digest
from tests.torture.laws.violation import LAWS
from tests.torture.mistakes import MISTAKES
from tests.torture.people import CANCEL, CONFIRM, GROUPS, MEMBERS, STRANGER, People
from tests.torture.rig import Rig
from tests.torture.run import RunConfig, record

ALICE, BOB, CAROL, DAVE, EVE, FRANK = MEMBERS
CALM = RunConfig(seed=1, seconds=3, database="sqlite", mode="http", families=())
SHOWN_BY_THREE_PRESSES = ("calls-first", "ignores-the-world", "lets-anybody-press")


async def short_scene(rig: Rig, people: People) -> None:
    """Let a rotation succeed, fail and remain unknown, one be cancelled, and one be refused."""
    refusal, failure = FixedResponse(403, b'{"error": "no"}'), FixedResponse(500, b'{"error": "broken"}')
    for person, group, fault in ((ALICE, 0, None), (BOB, 1, refusal), (CAROL, 2, failure)):
        if fault is not None:
            rig.turso.inject(fault, times=1)
        card = await asked(rig, people, person, GROUPS[group])
        await people.presses(person, card, CONFIRM)
        await rig.slack.sees(person, f"the tokens of {GROUPS[group]}", "Rotation", since=card.position)
        await rig.slack.sees(None, f"`{GROUPS[group]}`", channel="C0AUDIT")
    await people.presses(DAVE, await asked(rig, people, DAVE, GROUPS[0]), CANCEL)
    await asked(rig, people, EVE, f"{GROUPS[0]} because of ghp_abcdefghijklmnopqrstuvwxyz0123456789")
    await people.types(STRANGER, f"/turso-rotate {GROUPS[0]}")
    await rig.slack.sees(STRANGER, "not on the allowlist")


async def asked(rig: Rig, people: People, person: Person, text: str) -> PostedMessage:
    """Ask, and return the card."""
    since = len(rig.slack.messages)
    await people.types(person, f"/turso-rotate {text}")
    return await rig.slack.sees(person, f"Rotate the tokens of {text.split(maxsplit=1)[0]}", since=since)


async def test_every_planted_violation_is_found(tmp_path: Path) -> None:
    facts = await record(CALM, tmp_path, None, short_scene)
    planted = {name: (law, plant(facts)) for name, (law, plant) in PLANTS.items()}
    first = violations(second_call(facts))[0]

    assert [str(each) for each in violations(facts)] == []
    assert {"succeeded", "failed", "unknown", "cancelled"} <= {rotation.state for rotation in facts.rotations}
    assert {name: law for name, (law, found) in planted.items() if law not in broken(found)} == {}
    assert [check for check in CHECKS if not any(list(check(found)) for _, found in planted.values())] == []
    assert {law for law, _ in PLANTS.values()} == set(LAWS)
    assert {line.split()[2] for line in evidence(facts, first)} >= {"row", "Turso:", "C0AUDIT", ALICE.user_id}


async def three_presses(rig: Rig, people: People) -> None:
    """Press a card, then one for the same group that is older than that rotation, then somebody else's."""
    first, older = await asked(rig, people, ALICE, GROUPS[0]), await asked(rig, people, BOB, GROUPS[0])
    other = await asked(rig, people, CAROL, GROUPS[1])
    await people.presses(ALICE, first, CONFIRM)
    await rig.slack.sees(None, f"`{GROUPS[0]}`", channel="C0AUDIT")
    for person, card in ((BOB, older), (DAVE, other)):
        changes = rig.slack.changes.subscribe()
        await people.presses(person, card, CONFIRM)
        async for change in changes:
            if change.kind in {"posted", "edited"}:
                break


async def test_mistakes_in_the_bot_itself_are_found(tmp_path: Path) -> None:
    facts = await record(replace(CALM, mistakes=SHOWN_BY_THREE_PRESSES), tmp_path, None, three_presses)

    assert {MISTAKES[mistake][0] for mistake in SHOWN_BY_THREE_PRESSES} <= broken(facts)


def broken(facts: Facts) -> set[int]:
    """Name the laws that are broken."""
    return {violation.law for violation in violations(facts)}


def of(facts: Facts, action: str) -> Row:
    """Return the first row with this action."""
    return next(row for row in facts.rows if row.action == action)


def resealed(facts: Facts, change: Callable[[Row], Row | None]) -> Facts:
    """Change or drop rows, and number and seal them anew, as somebody with the key would."""
    rows: list[Row] = []
    for row in filter(None, map(change, facts.rows)):
        last = rows[-1].hash if rows else "0" * 64
        numbered = replace(row, seq=len(rows) + 1, prev_hash=last)
        rows.append(replace(numbered, hash=digest(numbered, facts.key)))
    return replace(facts, rows=tuple(rows))


def retold(facts: Facts, changed_action: str, /, **changes: Any) -> Facts:
    """Change the first row with this action."""
    chosen = of(facts, changed_action)
    return resealed(facts, lambda row: replace(row, **changes) if row == chosen else row)


def without(facts: Facts, action: str) -> Facts:
    """Drop the first row with this action."""
    chosen = of(facts, action)
    return resealed(facts, lambda row: None if row == chosen else row)


def call_without_a_start(facts: Facts) -> Facts:
    return replace(facts, calls=(*facts.calls, replace(facts.calls[0], running=None)))


def call_whose_start_a_crash_lost(facts: Facts) -> Facts:
    running = facts.calls[0].running
    assert running is not None
    lost = replace(running, started=replace(running.started, hash="0" * 64))
    return replace(facts, calls=(replace(facts.calls[0], running=lost), *facts.calls[1:]))


def call_unseen_and_before_its_start(facts: Facts) -> Facts:
    early = replace(facts.calls[0], readable=False, running=None, at=of(facts, "rotation.started").time - 1)
    return replace(facts, calls=(early, *facts.calls[1:]))


def second_call(facts: Facts) -> Facts:
    return replace(facts, calls=(facts.calls[0], *facts.calls))


def second_start(facts: Facts) -> Facts:
    chosen = of(facts, "rotation.cancelled")
    again = replace(of(facts, "rotation.started"), time=chosen.time, at=chosen.at, delivery=None)
    return resealed(facts, lambda row: again if row == chosen else row)


def start_in_another_world(facts: Facts) -> Facts:
    noted = replace(of(facts, "rotation.succeeded"), action="rotation.noted", rotation_id=None)
    first = of(facts, "rotation.started")
    rows = [each for row in facts.rows for each in ((noted, row) if row == first else (row,))]
    return resealed(replace(facts, rows=tuple(rows)), lambda row: row)


def success_that_turso_did_not_say(facts: Facts) -> Facts:
    return replace(facts, calls=tuple(replace(call, success=False) for call in facts.calls))


def failure_that_turso_performed(facts: Facts) -> Facts:
    return replace(facts, calls=tuple(replace(call, performed=True) for call in facts.calls))


def unknown_without_a_cause(facts: Facts) -> Facts:
    return replace(facts, calls=tuple(replace(call, performed=True, success=True) for call in facts.calls))


def card_that_lies(facts: Facts) -> Facts:
    failed = str(of(facts, "rotation.failed").rotation_id)
    return with_message(facts, "Done: the tokens of prod-mail are rotated", ALICE.user_id, failed)


def announcement_that_lies(facts: Facts) -> Facts:
    failed = str(of(facts, "rotation.failed").rotation_id)
    return with_message(facts, ":white_check_mark: @alice rotated the tokens", None, failed)


def with_message(facts: Facts, text: str, to: str | None, rotation_id: str) -> Facts:
    """Let a message stand there too."""
    channel = facts.channel if to is None else "C0INCIDENT"
    last = facts.messages[-1]
    more = MessageVersion(last.message + 1, last.at, channel, to, text, (), (rotation_id,))
    return replace(facts, messages=(*facts.messages, more))


def start_without_a_grant(facts: Facts) -> Facts:
    return retold(facts, "rotation.started", detail=json.dumps({"channel": "C0INCIDENT", "grant": 99}))


def start_after_the_grant_was_taken(facts: Facts) -> Facts:
    started = of(facts, "rotation.started")
    taken = GrantChange(started.time - 0.2, started.time - 0.1, started.user_id, given=False, done=True)
    return replace(facts, grant_changes=(*facts.grant_changes, taken))


def start_by_somebody_else(facts: Facts) -> Facts:
    return retold(facts, "rotation.cancelled", user_id=ALICE.user_id)


def request_by_a_stranger(facts: Facts) -> Facts:
    return retold(facts, "rotation.requested", user_id=STRANGER.user_id)


def command_without_a_row(facts: Facts) -> Facts:
    return without(facts, "rotation.denied")


def press_without_an_answer(facts: Facts) -> Facts:
    silent = replace(facts.user_actions[-1], delivery="0" * 64, leaves_row=False, at=facts.read_at + 60)
    return replace(facts, user_actions=(*facts.user_actions, silent))


def gap(facts: Facts) -> Facts:
    return replace(facts, rows=(*facts.rows[:3], *facts.rows[4:]))


def changed_row(facts: Facts) -> Facts:
    return replace(facts, rows=(*facts.rows[:-1], replace(facts.rows[-1], user_id="U0OTHER")))


def row_that_was_seen_otherwise(facts: Facts) -> Facts:
    return replace(facts, changes=(Change("row", "3", "this", "gone"),))


def complaint_of_the_verifier(facts: Facts) -> Facts:
    return replace(facts, unexpected=("audit verify: Row 3: changed",))


def state_that_no_row_says(facts: Facts) -> Facts:
    first = facts.rotations[0]
    other = "failed" if first.state == "succeeded" else "succeeded"
    return replace(facts, rotations=(replace(first, state=other), *facts.rotations[1:]))


def illegal_move(facts: Facts) -> Facts:
    return retold(facts, "rotation.started", action="rotation.succeeded")


def secret_in_the_log(facts: Facts) -> Facts:
    return replace(facts, logs=(*facts.logs, f"calling with {facts.secrets['TURSO_API_TOKEN']}\n"))


def secret_in_a_row(facts: Facts) -> Facts:
    return retold(facts, "rotation.requested", detail=json.dumps({"reason": facts.secrets["SLACK_BOT_TOKEN"]}))


def secret_in_a_message(facts: Facts) -> Facts:
    return with_message(facts, facts.secrets["AUDIT_KEY"], ALICE.user_id, "none")


def slow_acknowledgement(facts: Facts) -> Facts:
    return replace(facts, user_actions=(replace(facts.user_actions[0], seconds=3.5), *facts.user_actions[1:]))


def slow_acknowledgement_behind_a_slow_database(facts: Facts) -> Facts:
    slow = ActiveFault("database", "stood still", facts.user_actions[0].at - 1, facts.user_actions[0].at + 4)
    return replace(slow_acknowledgement(facts), faults=(slow,))


def card_with_buttons(facts: Facts) -> Facts:
    return replace(facts, messages=tuple(replace(each, buttons=("abc",)) for each in facts.messages))


def still_rotating(facts: Facts) -> Facts:
    return replace(facts, rotations=(replace(facts.rotations[0], state="rotating"), *facts.rotations[1:]))


def request_beyond_its_expiry(facts: Facts) -> Facts:
    waiting = replace(facts.rotations[0], state="requested", expires_at=facts.read_at - 10)
    return replace(facts, rotations=(waiting, *facts.rotations[1:]))


def left_in_the_outbox(facts: Facts) -> Facts:
    return replace(facts, undelivered=("card abc",))


def channel_not_told(facts: Facts) -> Facts:
    return replace(facts, messages=tuple(each for each in facts.messages if each.channel != facts.channel))


def channel_told_twice(facts: Facts) -> Facts:
    first = next(each for each in facts.messages if each.channel == facts.channel)
    return replace(
        facts,
        messages=(*facts.messages, replace(first, message=facts.messages[-1].message + 1)),
    )


def person_not_told(facts: Facts) -> Facts:
    return replace(facts, messages=tuple(each for each in facts.messages if not each.text.startswith("Failed: ")))


def bug(facts: Facts) -> Facts:
    return replace(facts, logs=(*facts.logs, "Traceback (most recent call last):\n"))


def end_by_itself(facts: Facts) -> Facts:
    return replace(facts, unexpected=("replica 0 had ended by itself with 1",))


PLANTS: dict[str, tuple[int, Callable[[Facts], Facts]]] = {
    plant.__name__: (law, plant)
    for law, plants in {
        0: (bug, end_by_itself),
        1: (call_without_a_start, call_whose_start_a_crash_lost, call_unseen_and_before_its_start),
        2: (second_call, second_start, start_in_another_world),
        3: (
            success_that_turso_did_not_say,
            failure_that_turso_performed,
            unknown_without_a_cause,
            card_that_lies,
            announcement_that_lies,
        ),
        4: (start_without_a_grant, start_after_the_grant_was_taken, start_by_somebody_else, request_by_a_stranger),
        5: (command_without_a_row, press_without_an_answer, gap),
        6: (
            changed_row,
            row_that_was_seen_otherwise,
            complaint_of_the_verifier,
            state_that_no_row_says,
            illegal_move,
        ),
        7: (secret_in_the_log, secret_in_a_row, secret_in_a_message),
        8: (slow_acknowledgement, slow_acknowledgement_behind_a_slow_database),
        9: (card_with_buttons,),
        10: (
            still_rotating,
            request_beyond_its_expiry,
            left_in_the_outbox,
            channel_not_told,
            channel_told_twice,
            person_not_told,
        ),
    }.items()
    for plant in plants
}
"""Each by its name: the law that it breaks, and how it is planted."""
