"""Exchange requests and answers with Turso: over fresh connections where it counts, bounded, and timed."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Literal, cast

import httpx

Observe = Callable[[Literal["rotate", "read"], int | None, float], None]
"""Hears of every exchange: what it was for, the status if an answer came to its end, and the seconds it took."""

_CONNECTING = 0.45  # twice within the deadline: when it strikes in a TLS handshake, httpcore 1.0.9 leaks the socket


def clients(timeout: float, read_seconds: float, version: str) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """Make one client for rotations and one for reading; both times are in seconds."""
    context = httpx.create_ssl_context()  # takes 15 ms, so they share it
    headers = {"Accept-Encoding": "identity", "User-Agent": f"turso-rotate/{version}"}
    # Turso may close a kept connection just as the rotation is sent, and nobody could tell what became of it.
    fresh = httpx.Limits(max_keepalive_connections=0)
    # These retries end once a connection stands: nothing is ever sent twice.
    transport = httpx.AsyncHTTPTransport(verify=context, limits=fresh, retries=1)
    call, read_timeout = (httpx.Timeout(whole, connect=whole * _CONNECTING) for whole in (timeout, read_seconds))
    caller = httpx.AsyncClient(transport=transport, timeout=call, headers=headers)
    return caller, httpx.AsyncClient(verify=context, trust_env=False, timeout=read_timeout, headers=headers)


@asynccontextmanager
async def exchange(
    client: httpx.AsyncClient, request: httpx.Request, observe: Observe
) -> AsyncIterator[httpx.Response]:
    """Send a request, and give the answer while its body can be read."""
    began, status = time.perf_counter(), None
    try:
        async with aclosing(await client.send(request, stream=True)) as response:
            yield response
            status = response.status_code
    finally:
        observe("rotate" if request.method == "POST" else "read", status, time.perf_counter() - began)


async def read(response: httpx.Response, limit: int) -> bytes:
    """Read the bytes as they come, never unpacked; give up soon after `limit`."""
    body = bytearray()
    async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw())) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                break
    return bytes(body)
