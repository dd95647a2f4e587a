"""What the rows about one rotation or grant make of it, and how a difference is said."""

from typing import Any

import pytest

from bot.trail.replay import Entry, Replay, differences, replay_grant, replay_rotation

AT = "2026-10-01T08:00:0{}.000000Z"
ROTATION = {
    "organization": "acme", "group": "payments", "team_id": "T1", "user_id": "U1", "channel_id": "C1", "reason": "leak",
    "databases": '{"count":1,"names":["ledger"]}', "requested_at": AT.format(1), "expires_at": AT.format(9),
    "state": "succeeded", "started_at": AT.format(2), "ended_at": AT.format(3), "detail": '{"status":200}',
    "resolved_as": None,
}  # fmt: skip
REQUESTED = '{"channel":"C1","databases":{"count":1,"names":["ledger"]},"expires_in":8,"reason":"leak"}'


def row(seq: int, action: str, detail: str = "{}") -> Entry:
    return Entry(seq, AT.format(seq), action, "T1", "U1", "acme", "payments", "r1", detail)


STORY = [
    row(1, "rotation.requested", REQUESTED),
    row(2, "rotation.started"),
    row(3, "rotation.succeeded", '{"status":200}'),
]


def told(replay: Replay, **here: Any) -> list[str]:
    return list(differences({**ROTATION, **here}, replay))


def test_a_rotation_as_its_rows_tell_it_differs_in_nothing() -> None:
    assert told(replay_rotation(STORY)) == []


@pytest.mark.fault("F54")
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (STORY[1:], "row 2 of the trail records rotation.started, but no row before it requested it"),
        ([STORY[0], STORY[2]], "row 3 of the trail records rotation.succeeded, but it was already requested"),
        (
            [*STORY[:2], row(4, "rotation.started")],
            "row 4 of the trail records rotation.started, but it was already rotating",
        ),
        (
            [*STORY, row(4, "rotation.requested", REQUESTED)],
            "row 4 of the trail records rotation.requested, but it was already succeeded",
        ),
        (
            [*STORY, row(4, "rotation.failed")],
            "row 4 of the trail records rotation.failed, but it was already succeeded",
        ),
        (
            [*STORY, row(4, "rotation.resolved", '{"as":"failed"}')],
            "row 4 of the trail judges it, but it was not unknown",
        ),
        ([row(1, "rotation.requested", "no JSON"), *STORY[1:]], "the detail of row 1 of the trail cannot be read"),
    ],
    ids=["no request", "no start", "two starts", "two requests", "two ends", "judged", "unreadable"],
)
def test_rows_that_cannot_follow_each_other_are_named(rows: list[Entry], words: str) -> None:
    assert told(replay_rotation(rows))[0] == words


def test_a_late_answer_takes_the_place_of_a_judgement() -> None:
    judged = row(4, "rotation.resolved", '{"as":"failed","note":"seen"}')
    rows = [*STORY[:2], row(3, "rotation.unknown", '{"explanation":"?"}'), judged]
    answered = [*rows, row(5, "rotation.succeeded", '{"status":200}')]

    detail = '{"explanation":"?","note":"seen","resolved_by":"U1"}'
    assert told(replay_rotation(rows), state="unknown", resolved_as="failed", detail=detail) == []
    assert told(replay_rotation(answered), ended_at=AT.format(5)) == []


def test_a_grant_is_given_once_and_revoked_once() -> None:
    granted = row(1, "allowlist.granted", '{"grant":1,"user":"U1","team":"T1","role":"audit","pattern":"*","note":""}')
    revoked = row(2, "allowlist.revoked", '{"grant":1}')

    assert replay_grant([granted, revoked]).problems == []
    assert replay_grant([revoked]).problems == [
        "row 2 of the trail records allowlist.revoked, but it was not granted before"
    ]
    assert [len(replay_grant(rows).problems) for rows in ([granted, granted], [granted, revoked, revoked])] == [1, 1]


def test_a_long_value_is_cut_around_the_difference_on_one_line_and_without_a_token() -> None:
    long = "x" * 200
    (cut,) = told(replay_rotation(STORY), reason=f"{long}\n\x1b[31m{long}")
    (masked,) = told(replay_rotation(STORY), reason="it was xoxb-1234-abcdefghijkl and leaked")
    story = [row(1, "rotation.requested", REQUESTED.replace("leak", f"{long}one{long}")), *STORY[1:]]
    (window,) = told(replay_rotation(story), reason=f"{long}two{long}")

    assert cut == f'reason is "{"x" * 59}… here, but "leak" in row 1 of the trail'
    assert "xoxb" not in masked
    assert "it was [redacted] and leaked" in masked
    assert window == (f"reason is …{'x' * 20}two{'x' * 37}… here, but …{'x' * 20}one{'x' * 37}… in row 1 of the trail")
