"""The settings table that people read, against the settings that the code reads."""

import re
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL

from bot.config import DatabaseSettings, Settings

ROOT = Path(__file__).parents[2]
HEADER = "| name | default | meaning |"
PAGE = ROOT / "docs" / "configuration.md"
ROW = re.compile(r"^\| (`[A-Z_`, ]+`) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def table(text: str) -> dict[str, tuple[str, str]]:
    """Read the rows of a settings table; a row may name several settings, with as many defaults."""
    rows = {}
    for names, defaults, meaning in ROW.findall(text.partition(HEADER)[2].partition("\n\n")[0]):
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True):
            rows[name.strip("`")] = (default.strip("`"), meaning)
    return rows


def defaults() -> Mapping[str, str]:
    return {
        name.upper(): "required" if field.is_required() else shown(field.default)
        for name, field in Settings.model_fields.items()
    }


def shown(default: object) -> str:
    if isinstance(default, URL):
        return default.render_as_string()
    return "\N{EN DASH}" if default in (None, {}, ()) else str(default)


def test_one_page_has_the_table_and_the_readme_links_to_it() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

    assert [page for page in pages if HEADER in page.read_text()] == [PAGE]
    assert "(docs/configuration.md)" in (ROOT / "README.md").read_text()


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = table(PAGE.read_text())

    assert {name: default for name, (default, _) in rows.items()} == defaults()
    assert all(meaning.strip() for _, meaning in rows.values())


def test_what_looks_after_the_database_needs_nothing() -> None:
    assert not any(field.is_required() for field in DatabaseSettings.model_fields.values())
