"""A process that has imported the bot and forks for each command, as importing takes most of a command's start."""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from typing import NoReturn

_PRELOADED = (
    "alembic.command",
    "alembic.config",
    "alembic.runtime.migration",
    "alembic.script",
    "anyio._backends._asyncio",
    "bot.app.wiring",
    "bot.cli",
    "bot.doctor.examination",
    "bot.store.migrations",
    "bot.store.postgresql",
    "certifi",
    "httpcore",
    "slack_bolt.listener_matcher.async_builtins",
    "sqlalchemy.dialects.postgresql.psycopg",
    "uvicorn.lifespan.off",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)
"""What commands import, some of it only when they need it."""
_LARGEST_REQUEST = 2**17


class Forks:
    """The running forks, each with the socket on which somebody waits for its end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._running: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> list[str]:
        """Fork for each request until the tests end; returns in each fork, with the command's arguments."""
        while True:
            for key, _ in self._selector.select():
                if key.fd in self._running:
                    self._report(key.fd)
                    continue
                message, files, _, _ = socket.recv_fds(self._control, _LARGEST_REQUEST, 4)
                if not message:
                    self._kill()
                    sys.exit()
                request = json.loads(message)
                if self._forks(files):
                    os.chdir(request["folder"])
                    os.environ.clear()  # noqa: TID251 - the fork's own
                    os.environ.update(request["environment"])  # noqa: TID251 - the fork's own
                    return list(request["arguments"])

    def _forks(self, files: list[int]) -> bool:
        """Fork; returns whether this is the fork, which then reads and writes the given files alone."""
        pid = os.fork()
        if pid == 0:
            self._close()
            for number, file in enumerate(files[:3]):
                os.dup2(file, number)
        else:
            caller = socket.socket(fileno=os.dup(files[3]))
            caller.sendall(b"%d\n" % pid)
            process = os.pidfd_open(pid)
            self._running[process] = pid, caller
            self._selector.register(process, selectors.EVENT_READ)
        for file in files:
            os.close(file)
        return pid == 0

    def _report(self, process: int) -> None:
        pid, caller = self._running.pop(process)
        self._selector.unregister(process)
        os.close(process)
        status = os.waitpid(pid, 0)[1]
        with caller, suppress(OSError):  # nobody may be waiting any more
            caller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))

    def _close(self) -> None:
        self._selector.close()
        self._control.close()
        for process, (_, caller) in self._running.items():
            os.close(process)
            caller.close()

    def _kill(self) -> None:
        for pid, _ in self._running.values():
            os.kill(pid, signal.SIGKILL)


def _end(code: int) -> NoReturn:
    """End as Python does, but leave the memory to the system: to free what was imported would first copy it."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()  # what is still awaited complains here
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    for name in _PRELOADED:
        import_module(name)
    gc.freeze()  # or every collection in a fork would copy what was imported
    with socket.socket(fileno=os.dup(0)) as control_socket:
        sys.argv[1:] = Forks(control_socket).serve()
    try:
        runpy.run_module("bot", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            _end(end.code)
        raise
