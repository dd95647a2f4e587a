"""Which group somebody means: as Turso's list has it, and as far as they may rotate it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.errors import UsageError
from bot.domain.models import GroupName, Request
from bot.domain.names import GROUP_NAME
from bot.domain.naming import alike, meant, readings, similar
from bot.slack.rotate.command import parse

GROUPS = tuple(map(GroupName, ("payments", "prod-eu", "prod--eu", "prod-us", "Case", "case", "x_", "hidden", "TWICE")))


def means(typed: str, *, may: tuple[str, ...] = GROUPS) -> str | None:
    """Return the group that somebody means who may rotate these."""
    request = parse(typed)
    return None if request is None else meant(request, GROUPS, lambda group: group in may)


@pytest.mark.parametrize(
    ("typed", "group"),
    [
        ("payments", "payments"),
        ("PayMents", "payments"),
        ("`payments`", "payments"),
        ("'PAYMENTS':", "payments"),
        ("\u201epayments\u201c leaked", "payments"),
        ("payments_", "payments"),
        ("case", "case"),
        ("Case", "Case"),
        ("CASE", None),
        ("`case`", "case"),
        ("prod\u2013us", "prod-us"),
        ("prod-eu", "prod-eu"),
        ("prod\u2014eu", None),  # either of two
        ("_x__", "x_"),
        ("x_", "x_"),
        ("paymnets", None),
        ("group:payments", "payments"),
    ],
)
@pytest.mark.fault("F62")
def test_a_group_is_meant_if_it_is_the_only_one(typed: str, group: str | None) -> None:
    assert means(typed) == group


@pytest.mark.fault("F62")
def test_a_group_that_one_may_not_rotate_is_meant_only_by_its_name() -> None:
    theirs = ("payments", "case")

    assert means("CASE", may=theirs) == "case", "the other one is not theirs"
    assert means("hidden", may=theirs) == means("HIDDEN", may=theirs) == "hidden"
    assert means("`hidden`", may=theirs) is None
    assert means("Case", may=theirs) == "Case", "an exact name always wins"


@pytest.mark.parametrize(
    ("typed", "close"),
    [
        ("Payments", ("payments",)),
        ("payment", ("payments",)),
        ("prod", ("prod-us", "prod-eu", "prod--eu")),
        ("zzz", ()),
    ],
)
def test_names_that_come_close_are_suggested_best_first(typed: str, close: tuple[str, ...]) -> None:
    assert similar(typed, GROUPS) == close


def test_only_one_group_may_be_alike() -> None:
    assert alike("twice", GROUPS) == "TWICE"
    assert alike("CASE", GROUPS) is alike("other", GROUPS) is None


@given(st.text())
def test_every_reading_is_a_possible_name(word: str) -> None:
    assert all(GROUP_NAME.fullmatch(name) for name in readings(word))


@given(st.text(st.characters(categories=["P", "S", "Cf", "Zs"]), max_size=5), st.text("\"'`*_~.,:;!?)]}>", max_size=5))
@pytest.mark.fault("F62")
def test_no_marks_around_a_name_mean_another_group(before: str, after: str) -> None:
    try:
        request = parse(f"{before}payments{after}")
    except UsageError:
        return
    if request is not None:
        assert meant(replace(request, reason=""), GROUPS, lambda _: True) in {"payments", None}
        assert isinstance(request, Request)
