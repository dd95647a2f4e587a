"""The report: ratios, which travel, beside figures, which do not."""

import os
import platform
import sqlite3
import time

_BEGAN = time.monotonic()
MISSED: list[str] = []


def title(text: str) -> None:
    """Begin a table."""
    print(f"\n{text}  [{time.monotonic() - _BEGAN:.0f} s]", flush=True)


def row(name: str, value: str, wanted: str = "", *, met: bool = True) -> None:
    """Print a line, and remember what was missed."""
    verdict = "" if not wanted else "ok" if met else "MISSED"
    print(f"  {name:<40} {value:>44}   {wanted:<24} {verdict}".rstrip(), flush=True)
    if not met:
        MISSED.append(name)


def ratio(name: str, ours: float, theirs: float, limit: float | None = None) -> None:
    """Compare two times in seconds."""
    value = f"{ours * 1e3:.2f} ms / {theirs * 1e3:.2f} ms = {ours / theirs:.3f}"
    if limit is None:
        row(name, value)
    else:
        row(name, value, f"at most {limit:g}", met=ours / theirs <= limit)


def machine() -> None:
    """Say where this ran, and how busy that was with something else."""
    system = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}"
    print(f"{os.cpu_count()} processors, load before the run {os.getloadavg()[0]:.1f}; {system}")
