"""The bare Bolt app once more, without asyncio: a thread for each request, behind the standard library's server."""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from slack_bolt import Ack, App, Respond
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_sdk.web import WebClient


class Server(ThreadingMixIn, WSGIServer):
    """Bolt's own server for development handles one request at a time."""

    daemon_threads = True
    request_queue_size = 128


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing of each request."""


def main(api_url: str, port: int) -> None:
    """Serve until killed."""
    app = App(client=WebClient("xoxb-local-bot", base_url=api_url), signing_secret="local-signing-secret")

    @app.command("/turso-rotate")
    def on_command(ack: Ack, respond: Respond, command: dict[str, str]) -> None:
        ack()
        if command["text"].startswith("echo"):
            respond(command["text"])

    with Server(("127.0.0.1", port), Quiet) as server:
        server.set_app(SlackRequestHandler(app))
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
