"""A bot that cannot open its door says so in one line, and ends."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process import run

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def taken() -> Iterator[str]:
    """Give a port at which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "192.0.2.1", "x" * 64, "::ffff:192.0.2.1"], ids=["no-name", "not-ours", "long", "ipv6"]
)
async def test_a_host_that_is_not_this_machine_is_one_clear_line(
    host: str, settings: dict[str, str], tmp_path: Path
) -> None:
    code, _, err = await run(settings | {"HOST": host, "PORT": "3999", "LOG_LEVEL": "error"}, tmp_path, "serve")

    assert code == 2
    assert err.startswith(f"turso-rotate: HOST and PORT: the bot cannot listen at {host}, port 3999: ")
    assert err.count("\n") == 1


async def test_a_port_that_somebody_else_has_is_one_clear_line(
    taken: str, settings: dict[str, str], tmp_path: Path
) -> None:
    code, _, err = await run(settings | {"PORT": taken, "LOG_LEVEL": "error"}, tmp_path, "serve")

    assert code == 2
    assert err == (
        f"turso-rotate: HOST and PORT: the bot cannot listen at 127.0.0.1, port {taken}: Address already in use.\n"
    )
