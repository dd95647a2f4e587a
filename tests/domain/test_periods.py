"""Periods and moments as people write them, on a terminal and in Slack alike."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.periods import Period, moment

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("30m", timedelta(minutes=30)),
        ("36h", timedelta(hours=36)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_an_age_is_read_as_a_period_and_as_a_moment(text: str, age: timedelta) -> None:
    assert Period.parse(text).between(NOW) == (NOW - age, None)
    assert moment(text, NOW) == NOW - age
