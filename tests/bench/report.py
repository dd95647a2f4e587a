"""The report: ratios, which travel, beside figures, which do not."""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

_BEGAN = time.monotonic()
MISSED: list[str] = []
_lines: list[dict[str, str | bool]] = []
_titles = [""]


def percentile(seconds: Sequence[float], percent: int) -> float:
    """Read one percentile."""
    return quantiles(seconds, n=100, method="inclusive")[percent - 1]


def title(text: str) -> None:
    """Begin a table."""
    _titles.append(text)
    print(f"\n{text}  [{time.monotonic() - _BEGAN:.0f} s]", flush=True)


def row(name: str, value: str, wanted: str = "", *, met: bool = True) -> None:
    """Print a line, and remember what was missed."""
    verdict = "" if not wanted else "ok" if met else "MISSED"
    print(f"  {name:<40} {value:>44}   {wanted:<24} {verdict}".rstrip(), flush=True)
    _lines.append({"table": _titles[-1], "name": name, "value": value, "wanted": wanted, "met": met})
    if not met:
        MISSED.append(f"{name} ({_titles[-1]})")


def ratio(name: str, ours: float, theirs: float, limit: float | None = None) -> None:
    """Compare two times in seconds."""
    value = f"{ours * 1e3:.2f} ms / {theirs * 1e3:.2f} ms = {ours / theirs:.3f}"
    if limit is None:
        row(name, value)
    else:
        row(name, value, f"at most {limit:g}", met=ours / theirs <= limit)


def times(name: str, seconds: Sequence[float], limit: float | None = None) -> None:
    """Show median, 99th percentile and worst of some times in seconds; the limit is the percentile's."""
    p99 = percentile(seconds, 99)
    value = ", ".join(f"{each * 1e3:.1f}" for each in (median(seconds), p99, max(seconds)))
    wanted = "" if limit is None else f"at most {limit * 1e3:g} ms"
    row(f"{name}: median, p99, worst", f"{value} ms", wanted, met=limit is None or p99 <= limit)


def machine() -> None:
    """Say where this ran, and how busy that was with something else."""
    system = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}"
    print(
        f"{os.cpu_count()} processors, load before the run {os.getloadavg()[0]:.1f}; {system}, PostgreSQL with fsync on"
    )


def keep(path: Path) -> None:
    """Write every line that was printed, as JSON lines."""
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in _lines))
