"""Read `/metrics` of the real process."""

import re

from aiohttp import ClientSession
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.process import BotProcess


class Seen:
    """One scrape."""

    def __init__(self, page: str) -> None:
        self.page = page
        self.families: list[Metric] = list(text_string_to_metric_families(page))
        self.samples = [sample for family in self.families for sample in family.samples]

    def __getitem__(self, series: str) -> float:
        """Read one series, named like `name` or `name{label="value"}`; the prefix is left out."""
        name, _, labels = series.partition("{")
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        (value,) = (each.value for each in self.samples if (each.name, each.labels) == (f"turso_rotate_{name}", wanted))
        return value

    @property
    def names(self) -> dict[str, set[str]]:
        """The labels of every series."""
        found: dict[str, set[str]] = {}
        for sample in self.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
        return found

    @property
    def values(self) -> dict[tuple[str, str], list[str]]:
        """The values of every label."""
        found: dict[tuple[str, str], list[str]] = {}
        for family in self.families:
            for sample in family.samples:
                for label, value in sample.labels.items():
                    values = found.setdefault((shown(family), label), [])
                    values += [value] * (value not in values)
        return found


async def scrape(bot: BotProcess, accept: str = "text/plain") -> Seen:
    async with (
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{bot.port}/metrics", headers={"Accept": accept}) as answer,
    ):
        assert answer.status == 200
        return Seen(await answer.text())


def shown(family: Metric) -> str:
    """Name a family as its series are named."""
    return f"{family.name}_total" if family.type == "counter" else family.name
