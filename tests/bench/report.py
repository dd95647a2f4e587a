"""The report: a table for each measurement, and what missed its limit."""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

SLACK_SECONDS = 3.0
"""Slack shows an error to the person when a command is not acknowledged in this time."""
MISSED: list[str] = []
_BEGAN = time.monotonic()
_lines: list[dict[str, str | bool]] = []
_titles = [""]


def percentile(seconds: Sequence[float], percent: int) -> float:
    """Return one percentile."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1]


def title(text: str) -> None:
    """Begin a table."""
    _titles.append(text)
    print(f"\n{text}  [{time.monotonic() - _BEGAN:.0f} s]", flush=True)


def row(name: str, value: str, limit: str = "", *, met: bool = True) -> None:
    """Print a line, and keep it for the list of missed limits."""
    verdict = "" if not limit else "ok" if met else "MISSED"
    print(f"  {name:<42} {value:>44}   {limit:<24} {verdict}".rstrip(), flush=True)
    _lines.append({"table": _titles[-1], "name": name, "value": value, "limit": limit, "met": met})
    if not met:
        MISSED.append(f"{name} ({_titles[-1]})")


def ratio(name: str, measured: float, reference: float, limit: float | None = None) -> None:
    """Print two times in seconds and their ratio."""
    value = f"{measured * 1e3:.2f} ms / {reference * 1e3:.2f} ms = {measured / reference:.3f}"
    if limit is None:
        row(name, value)
    else:
        row(name, value, f"at most {limit:g}", met=measured / reference <= limit)


def times(name: str, seconds: Sequence[float], limit: float | None = None) -> None:
    """Print the median, the 99th percentile and the worst of some times in seconds; the limit holds for the worst."""
    worst = max(seconds)
    value = ", ".join(f"{each * 1e3:.1f}" for each in (median(seconds), percentile(seconds, 99), worst))
    wanted = "" if limit is None else f"at most {limit:g} s"
    row(f"{name}: median, p99, worst", f"{value} ms", wanted, met=limit is None or worst <= limit)


def machine() -> None:
    """Print what this runs on, and the load before the run."""
    system = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}"
    load = f"load before the run {os.getloadavg()[0]:.1f}"
    print(f"{os.cpu_count()} processors, {load}; {system}, PostgreSQL with fsync on")


def save(path: Path) -> None:
    """Write every printed line as a line of JSON."""
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in _lines))
