"""HTTP with Turso: a fresh connection for each rotation, bounded answers, and the time that they take."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Literal, cast

import httpx

Observe = Callable[[Literal["rotate", "read"], int | None, float], None]
"""Called after every request: its kind, the status if the answer was complete, and the seconds it took."""

# So that two attempts end before the deadline: when it strikes in a TLS handshake, httpcore 1.0.9 leaks the socket.
_CONNECT_SHARE = 0.45


def clients(timeout: float, read_seconds: float, version: str) -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """Create one client for rotations and one for reading; both times are in seconds."""
    context = httpx.create_ssl_context()  # takes 15 ms, so they share it
    headers = {"Accept-Encoding": "identity", "User-Agent": f"turso-rotate/{version}"}
    # Turso may close an idle connection just as a rotation is sent on it, and its outcome would be unknown.
    fresh = httpx.Limits(max_keepalive_connections=0)
    # These retries are for connecting alone: nothing is ever sent twice.
    transport = httpx.AsyncHTTPTransport(verify=context, limits=fresh, retries=1)
    call, read_timeout = (httpx.Timeout(whole, connect=whole * _CONNECT_SHARE) for whole in (timeout, read_seconds))
    caller = httpx.AsyncClient(transport=transport, timeout=call, headers=headers)
    return caller, httpx.AsyncClient(verify=context, trust_env=False, timeout=read_timeout, headers=headers)


@asynccontextmanager
async def exchange(
    client: httpx.AsyncClient, request: httpx.Request, observe: Observe
) -> AsyncIterator[httpx.Response]:
    """Send a request; the context holds the answer, whose body is not read yet."""
    began, status = time.perf_counter(), None
    try:
        async with aclosing(await client.send(request, stream=True)) as response:
            yield response
            status = response.status_code
    finally:
        observe("rotate" if request.method == "POST" else "read", status, time.perf_counter() - began)


async def read_body(response: httpx.Response, limit: int) -> bytes:
    """Read the raw body, not decompressed; stop soon after `limit` bytes."""
    body = bytearray()
    async with aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw())) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > limit:
                break
    return bytes(body)
