"""What keeps other web sites out of the page: loopback names, the page's own origin, a strict policy."""

from collections.abc import Awaitable, Callable

from aiohttp import web

_NAMES = ("127.0.0.1", "localhost")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page could send.

    A foreign `Host` is DNS rebinding. A foreign `Origin` is a request across sites; a POST must have an
    origin, as browsers always send one with it.
    """
    if not _is_ours(request):
        return web.Response(status=403, text="This sandbox answers its own page alone.\n", headers=_HEADERS)
    return await handler(request)


async def harden(_: web.Request, response: web.StreamResponse) -> None:
    """Add the headers to every response, streams included."""
    response.headers.update(_HEADERS)


def _is_ours(request: web.Request) -> bool:
    socket = request.get_extra_info("sockname")
    hosts = {f"{name}:{socket[1]}" for name in _NAMES} if socket else set()
    origin = request.headers.get("Origin")
    if request.host not in hosts:
        return False
    if origin is None:
        return request.method in {"GET", "HEAD"}
    return origin == f"http://{request.host}"
