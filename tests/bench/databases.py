"""Empty databases for the measurements, deleted when a measurement ends."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count

from tests.bench.report import row, title
from tests.postgres import PostgresServer

NewDatabase = Callable[[], str]
"""Creates an empty database and returns its URL."""
Databases = Callable[[], AbstractContextManager[NewDatabase]]


@contextmanager
def sqlite() -> Iterator[NewDatabase]:
    """Create databases as files in a temporary folder."""
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:
        yield lambda: f"sqlite:///{folder}/{next(numbers)}.db"


@contextmanager
def postgresql(server: PostgresServer) -> Iterator[NewDatabase]:
    """Create databases on a server."""
    urls: list[str] = []

    def new_database() -> str:
        urls.append(server.create_database())
        return urls[-1]

    yield new_database
    for url in urls:
        server.drop_database(url)


def fits(what: str, needed: float) -> bool:
    """Check that so many bytes are free on the disk; if not, report the measurement as missed."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if free < needed:
        title(f"{what}: not measured")
        row("free disk space", f"{free / 1e9:.0f} GB in {folder}", f"{needed / 1e9:.0f} GB", met=False)
    return free >= needed
