"""The same Bolt app without asyncio: the standard library's WSGI server starts a thread for each request."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from slack_bolt import Ack, App, Respond
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_sdk.web import WebClient


class _Server(ThreadingMixIn, WSGIServer):  # Bolt's own development server handles one request at a time
    daemon_threads = True
    request_queue_size = 128


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Log nothing."""


def main(_mode: str, api_url: str) -> None:
    """Serve until killed."""
    app = App(client=WebClient("xoxb-local-bot", base_url=api_url), signing_secret="local-signing-secret")

    @app.command("/turso-rotate")
    def on_command(ack: Ack, respond: Respond, command: dict[str, str]) -> None:
        ack()
        if command["text"].startswith("echo"):
            respond(command["text"])

    with _Server(("127.0.0.1", 0), _QuietHandler) as server:
        print(server.server_port, flush=True)
        server.set_app(SlackRequestHandler(app))
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
