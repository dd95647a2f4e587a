"""Metrics, and the files that are imported elsewhere because of them, without a process."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import errors
from bot.domain.errors import BotError, DatabaseError
from bot.domain.models import GroupName
from bot.domain.refusals import Refusal
from bot.ops.metrics import Metrics
from bot.ops.tasks import SupervisedTasks
from tests.domain.test_policy import ROTATION

DOCS = Path(__file__).parents[2] / "docs"
PANELS = json.loads((DOCS / "grafana-dashboard.json").read_text())["panels"]
RULES = [rule for group in yaml.safe_load((DOCS / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def series(metrics: Metrics) -> set[str]:
    """Name every series."""
    page = metrics.page("text/plain")[0].decode()
    return {line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")}


@given(status=st.none() | st.integers(0, 9999))
def test_no_number_adds_a_series(status: int | None) -> None:
    metrics = Metrics("1")
    before = series(metrics)

    metrics.exchanged("read", status, 0.1)
    metrics.database_failed(DatabaseError("?"))
    for refusal in Refusal:
        metrics.refused(refusal)

    assert series(metrics) == before


def test_failures_of_the_database_are_counted_by_their_kind() -> None:
    metrics = Metrics("1")
    failures = (
        errors.DatabaseUnavailable("?"),
        errors.CommitUnconfirmed("?"),
        errors.DatabaseReadOnly("?"),
        errors.SchemaMismatch("?"),
        errors.Unguarded(["audit_events_no_update"]),
        errors.KeyChanged(),
        DatabaseError("?"),
    )
    for failure in failures:
        metrics.database_failed(failure)

    counted = re.findall(r'database_errors_total{kind="(\w+)"} (\d)', metrics.page("text/plain")[0].decode())
    one_each = dict.fromkeys(("read_only", "schema", "unguarded", "key", "other"), "1")
    assert dict(counted) == {"unavailable": "2"} | one_each


def test_every_failure_that_people_are_told_has_a_reason_of_its_own() -> None:
    told = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, BotError)]
    at_start = {"SettingsError", "SlackUnusable", "BotError"}

    assert {kind.__name__ for kind in told if kind.refusal is Refusal.OTHER} - {"Refused"} <= at_start
    assert errors.Refused("no").refusal is Refusal.NOT_ALLOWED
    assert errors.NoSuchGroup(GroupName("x")).refusal is Refusal.NO_SUCH_GROUP
    assert errors.AlreadyDecided(ROTATION).refusal is Refusal.ALREADY_DECIDED


async def test_what_is_not_taken_is_heard_of() -> None:
    heard: list[Refusal] = []
    work = SupervisedTasks(0, refused=heard.append)
    with pytest.raises(errors.Overloaded):
        work.admit()
    work.refuse_more()
    with pytest.raises(errors.ShuttingDown):
        work.admit()

    assert heard == [Refusal.OVERLOADED, Refusal.SHUTTING_DOWN]


def test_two_registries_share_nothing() -> None:
    one, other = Metrics("1"), Metrics("2")
    one.requested()

    assert b"turso_rotate_requests_total 1.0" in one.page("")[0]
    assert b"turso_rotate_requests_total 0.0" in other.page("")[0]


def test_the_dashboard_can_be_imported_next_to_others() -> None:
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text())
    targets = [target for panel in PANELS for target in panel.get("targets", ())]
    sources = [each["datasource"] for each in [*targets, *(panel for panel in PANELS if panel["type"] != "row")]]
    variables = {variable["name"]: variable["type"] for variable in dashboard["templating"]["list"]}

    assert "id" not in dashboard
    assert variables == {"datasource": "datasource", "instance": "query"}
    assert {source["uid"] for source in sources} == {"${datasource}"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert all(panel["description"] for panel in PANELS if panel["type"] != "row")
    assert not [pair for pair in combinations((panel["gridPos"] for panel in PANELS), 2) if overlap(*pair)]
    assert all(position["x"] + position["w"] <= 24 for position in (panel["gridPos"] for panel in PANELS))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_in_labels_that_it_has(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    summed = re.findall(r"\b(?:sum|max|min)\b(?: by \(([^)]*)\))?", rule["expr"])
    kept = {label.strip() for labels in summed for label in labels.split(",")} if summed else {"instance", "job"}

    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"].endswith(".")
    assert named <= kept


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Say whether two panels cover each other."""
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"]
