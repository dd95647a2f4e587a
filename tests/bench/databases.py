"""Databases to fill, which go when a measurement ends."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count

from tests.bench.report import row, title
from tests.postgres import PostgresServer

Fresh = Callable[[], str]
"""Creates an empty database; returns its URL."""
Lends = Callable[[], AbstractContextManager[Fresh]]


@contextmanager
def sqlite() -> Iterator[Fresh]:
    """Lend files in a folder."""
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:
        yield lambda: f"sqlite:///{folder}/{next(numbers)}.db"


@contextmanager
def postgresql(server: PostgresServer) -> Iterator[Fresh]:
    """Lend databases of a server."""
    urls: list[str] = []

    def fresh() -> str:
        urls.append(server.create_database())
        return urls[-1]

    yield fresh
    for url in urls:
        server.drop_database(url)


def fits(what: str, needed: float) -> bool:
    """Say whether so many bytes fit on the disk; if not, report it as missed rather than fail half-way."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < needed:
        title(f"{what}: not measured")
        row("room", f"{free / 1e9:.0f} GB are free in {folder}", f"{needed / 1e9:.0f} GB", met=False)
    return free >= needed
