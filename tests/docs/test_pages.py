"""Links and names in the docs: every link leads somewhere, and the design names only what exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.marks import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
DESIGN = (ROOT / "docs" / "design.md").read_text()
CODE = "\n".join(path.read_text() for folder in ("bot", "tests") for path in (ROOT / folder).rglob("*.py"))
WIDTH = 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text())

    assert [link for link in links if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_line_fits(page: Path) -> None:
    assert [line for line in prose(page.read_text()) if len(line) > WIDTH] == []


def test_the_design_names_only_files_that_exist() -> None:
    named = set(re.findall(r"`((?:bot|docs|migrations|tests)/[\w./-]+)`", DESIGN))
    later = set(re.findall(r"`(bot/slack/(?:approve|recover)/)`", DESIGN))

    assert {name for name in named - later if not (ROOT / name).exists()} == set()


def test_the_design_names_only_code_that_exists() -> None:
    section = DESIGN.partition("## Where to change what")[2].partition("\n## ")[0]
    names = re.findall(r"`([A-Za-z_]+(?:\.[a-z_]+)?)`", section)
    parts = {part for name in names if not name.endswith((".py", ".md", ".yml", ".toml")) for part in name.split(".")}

    assert {part for part in parts if not re.search(rf"\b{part}\b", CODE)} == set()


def leads_somewhere(page: Path, link: str) -> bool:
    """Return whether the file of a relative link exists, and has the heading that it names."""
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    return target.exists() and (not anchor or anchor in map(slug, headings(target.read_text())))


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def prose(text: str) -> Iterator[str]:
    """Yield the lines that can be wrapped: neither tables nor code nor images."""
    for line in re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE).splitlines():
        if not line.startswith(("|", "![")):
            yield line
