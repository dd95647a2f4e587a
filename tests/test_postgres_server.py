"""The PostgreSQL server that the other tests rely on."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.postgres import NoPostgres, PostgresServer, Source, binaries

_ORPHAN = """
import sys, time
from pathlib import Path
from tests.postgres import PostgresServer
server = PostgresServer(Path(sys.argv[1]))
server.start()
print(server._home, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module", params=["local", "package"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    source: Source = request.param
    try:
        server = PostgresServer(binaries(source))
    except NoPostgres as absent:
        pytest.skip(str(absent))
    yield server
    server.destroy()


def test_each_database_is_new_and_empty(server: PostgresServer) -> None:
    server.start()
    first, second = server.create_database(), server.create_database()
    with psycopg.connect(first) as connection:
        connection.execute("CREATE TABLE t (n int)")

    with psycopg.connect(second) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    server.drop_database(first)

    assert tables == (0,)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(first)


def test_what_was_committed_survives_a_crash(server: PostgresServer) -> None:
    server.start()
    url = server.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE t (n int)")

    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    server.restart()

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert "not properly shut down" in server.log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as somebody else")
def test_programs_in_a_closed_directory_are_brought_within_reach(tmp_path: Path) -> None:
    package = binaries("package").parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(binaries("package").parent, tmp_path / package.name / "pginstall18")
    shutil.copytree(libraries, tmp_path / libraries.name)
    tmp_path.chmod(0o700)

    server = PostgresServer(tmp_path / package.name / "pginstall18" / "bin")
    server.start()

    assert server.create_database().startswith("postgresql://")
    server.destroy()


def test_a_paused_server_is_silent_and_comes_back(server: PostgresServer) -> None:
    server.start()
    url = server.create_database()

    with server.paused(), pytest.raises(psycopg.OperationalError, match="timeout"):
        psycopg.connect(url, connect_timeout=2)

    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_nothing_is_left_when_the_tests_are_killed(pytestconfig: pytest.Config) -> None:
    command = [sys.executable, "-c", _ORPHAN, str(binaries("auto"))]
    tests = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=pytestconfig.rootpath)
    assert tests.stdout is not None
    home = Path(tests.stdout.readline().strip())
    pid = int((home / "data" / "postmaster.pid").read_text().split()[0])

    tests.kill()
    tests.communicate()

    _wait_until_gone(home)
    assert not _is_alive(pid)


def _wait_until_gone(directory: Path) -> None:
    give_up = time.monotonic() + 20
    while directory.exists():
        assert time.monotonic() < give_up, f"{directory} is still there"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
