"""The dashboard, the alerts and the page about monitoring, against what the real process exposes."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Metric

from bot.sandbox.local_slack import LocalSlack
from tests.e2e.scraping import Seen, scrape, shown
from tests.process import BotProcess

pytestmark = [pytest.mark.modes("http"), pytest.mark.databases("sqlite")]

DOCS = Path(__file__).parents[2] / "docs"
SCRAPED = {"instance", "job"}


async def test_what_is_written_about_metrics_is_what_is_exposed(slack: LocalSlack, bot: BotProcess) -> None:
    seen = await scrape(bot)
    dashboard, alerts, page = (DOCS / name for name in ("grafana-dashboard.json", "alerts.yaml", "monitoring.md"))
    rules = [rule for group in yaml.safe_load(alerts.read_text())["groups"] for rule in group["rules"]]
    panels = json.loads(dashboard.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", ())]

    for expression in [rule["expr"] for rule in rules] + expressions:
        assert problems(expression, seen) == []
    assert not {name for name in seen.names if not used(name, expressions)} - {
        "turso_rotate_process_virtual_memory_bytes",
        "turso_rotate_process_start_time_seconds",
        "turso_rotate_process_max_fds",
    }
    assert [*table(page, "name")] == [row_of(family) for family in seen.families]
    assert {tuple(row) for row in table(page, "label")} == {
        (f"{label} of {family}", ", ".join(values))
        for (family, label), values in seen.values.items()
        if label not in {"le", "version"}
    }
    assert [row[0] for row in table(page, "alert")] == [rule["alert"] for rule in rules]


def row_of(family: Metric) -> list[str]:
    """Write a family as the page does."""
    found = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
    return [shown(family), family.type, ", ".join(found) or "\N{EN DASH}", family.documentation]


def table(page: Path, first: str) -> Iterator[list[str]]:
    """Read the rows of the table whose first column has this head."""
    text = page.read_text().partition(f"\n| {first} |")[2].partition("\n\n")[0]
    for line in text.splitlines()[2:]:
        yield [cell.strip().replace("`", "") for cell in line.strip("|").split(" | ")]


def used(name: str, expressions: Iterable[str]) -> bool:
    """Say whether a panel shows a series, or another part of its histogram."""
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    return any(re.search(rf"\b{base}(_bucket|_count|_sum)?\b", expression) for expression in expressions)


def problems(expression: str, seen: Seen) -> list[str]:
    """Say what a query asks for that the process does not expose."""
    found: list[str] = []
    known: set[str] = set()

    def visit(node: Any) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            known.update(seen.names.get(node.name or "", ()))
            found.extend(unknown(node, seen))
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            asked.update(node.modifier.labels)

    asked: set[str] = set()
    text = expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
    promql_parser.walk(promql_parser.parse(text), visit)
    return found + [f"no label {label} in {text}" for label in asked - known - SCRAPED]


def unknown(selector: Any, seen: Seen) -> Iterator[str]:
    """Say which names, labels and values of a selector the process does not have."""
    if selector.name not in seen.names:
        yield f"no metric {selector.name}"
        return
    values = seen.values
    for matcher in selector.matchers.matchers:
        if matcher.name in SCRAPED:
            continue
        family = next((name for name, label in values if selector.name.startswith(name) and label == matcher.name), "")
        wanted = matcher.value.split("|")
        if not set(wanted) <= set(values.get((family, matcher.name), ())):
            yield f"no {matcher.name} {matcher.value} in {selector.name}"
