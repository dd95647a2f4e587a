"""Keep other web sites out of the page: loopback host names, the page's own origin, a strict content policy."""

from aiohttp import web
from aiohttp.typedefs import Handler

_HOSTS = ("127.0.0.1", "localhost")
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


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests that another site's page could send.

    A foreign `Host` is DNS rebinding. A foreign `Origin` is a cross-site request; a POST must have an origin,
    as browsers always send one.
    """
    if not _is_own_page(request):
        text = "The sandbox accepts requests from its own page only.\n"
        return web.Response(status=403, text=text, headers=_HEADERS)
    return await handler(request)


async def harden(_: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every response, streams included."""
    response.headers.update(_HEADERS)


def _is_own_page(request: web.Request) -> bool:
    socket = request.get_extra_info("sockname")
    hosts = {f"{name}:{socket[1]}" for name in _HOSTS} if socket else set()
    origin = request.headers.get("Origin")
    if request.host not in hosts:
        return False
    if origin is None:
        return request.method in {"GET", "HEAD"}
    return origin == f"http://{request.host}"
