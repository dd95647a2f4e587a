"""Fixtures that every test may ask for."""

import gc
import os
import sys
import tempfile
import zlib
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from pathlib import Path

import certifi
import hypothesis
import pytest

from bot.store.database import open_database
from tests import databases
from tests.postgres import SOURCES, PostgresServer, binaries
from tests.store.conftest import Store

hypothesis.settings.register_profile("steady", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("steady")

MODES, DATABASES = ("http", "socket"), ("sqlite", "postgresql")
_LOOPBACK = ("127.", "::1", "localhost")
_SERVER = pytest.StashKey[PostgresServer]()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse every connection that would leave this machine."""
    config.addinivalue_line("markers", "fault(*numbers): which rows of docs/faults.md it holds, such as F3")
    config.addinivalue_line("markers", "law(*numbers): which laws of docs/security.md it holds")
    config.addinivalue_line("markers", "mistake: seen in real bots, as the end of docs/faults.md says")
    config.addinivalue_line("markers", "modes(*names): how Slack reaches the bot, if not each way (http, socket)")
    config.addinivalue_line("markers", "databases(*names): on which databases, if not on each (sqlite, postgresql)")
    config.addinivalue_line("markers", "matrix(why): in each mode on each database, instead of in two pairs of them")
    sys.addaudithook(_stay_here)
    _trust_one_authority(config)


def pytest_xdist_auto_num_workers() -> int:
    """Run two more than there are processors: many tests wait for others, or for time to pass."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that are allowed to take long, so that nobody has to wait for them in the end."""
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def pytest_collection_finish() -> None:
    """Let garbage collections pass over what lives until the end, and have fewer of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test as often as its marks say, or those of its class or module."""
    wanted: dict[str, Sequence[object]] = {}
    for name, fixture, values in (("modes", "mode", MODES), ("databases", "database_kind", DATABASES)):
        if fixture in metafunc.fixturenames:
            mark = metafunc.definition.get_closest_marker(name)
            wanted[fixture] = mark.args if mark else values
    if len(wanted) > 1 and not metafunc.definition.get_closest_marker("matrix"):
        wanted = {"mode,database_kind": _pairs(metafunc.definition.name, *wanted.values())}
    for fixtures, choice in wanted.items():
        metafunc.definition.add_marker(pytest.mark.parametrize(fixtures, choice, indirect=True))


def _pairs(name: str, modes: Sequence[object], databases: Sequence[object]) -> list[tuple[object, object]]:
    """Pair each mode with a database and each database with a mode; which with which depends on the test's name."""
    turn, longest = zlib.crc32(name.encode()), max(len(modes), len(databases))
    return [(modes[each % len(modes)], databases[(each + turn) % len(databases)]) for each in range(longest)]


def _stay_here(event: str, arguments: tuple[object, ...]) -> None:
    address = arguments[1] if event == "socket.connect" else None
    if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
        raise AssertionError(f"a test connects to {address[0]}")


def _trust_one_authority(config: pytest.Config) -> None:
    """Let HTTP clients read one certificate; to read all of them takes a quarter of the time of a bot's start."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
        file.write("".join(certifi.contents().partition("-----END CERTIFICATE-----")[:2]))
    os.environ["SSL_CERT_FILE"] = file.name  # noqa: TID251 - of the tests
    config.add_cleanup(Path(file.name).unlink)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--postgres", choices=SOURCES, default="auto", help="whose PostgreSQL to run")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the server's log next to a failure."""
    report = yield
    server = item.config.stash.get(_SERVER, None)
    if report.failed and server is not None:
        report.sections.append(("PostgreSQL's log", "\n".join(server.log.splitlines()[-40:])))
    return report


@pytest.fixture(scope="session")
def postgres_server(
    request: pytest.FixtureRequest, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """Start this worker's server; all workers copy the one cluster that the first of them made."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    server = PostgresServer(binaries(request.config.getoption("--postgres")), cluster=shared / "postgresql")
    request.config.stash[_SERVER] = server
    server.start()
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    return databases.postgres_template(postgres_server)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return databases.sqlite_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Create an empty database; the server is up again even if the test before left it stopped."""
    postgres_server.start()
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """Create a migrated database."""
    postgres_server.start()
    url = postgres_server.create_database(postgres_template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Create a migrated file."""
    return databases.sqlite_copy(sqlite_template, tmp_path / "test.db")


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, database_kind: str) -> str:
    """Create a migrated database of each kind; PostgreSQL starts only for tests that come this far."""
    return str(request.getfixturevalue("sqlite_url" if database_kind == "sqlite" else "postgres_url"))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """Give the stores over a migrated database, which seal without a key."""
    url = databases.load_url(database_url)
    database = open_database(url)
    yield Store(url, database)
    await database.close()


@pytest.fixture
def empty_database_url(request: pytest.FixtureRequest, database_kind: str, tmp_path: Path) -> str:
    """Create an empty database of each kind."""
    if database_kind == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    return str(request.getfixturevalue("empty_postgres_url"))
