"""An HTTP client that signs commands as Slack does and adds next to nothing to the time of an answer."""

import socket
import time
from typing import Self
from urllib.parse import urlsplit

from slack_sdk.signature import SignatureVerifier

from tests.bench.report import SLACK_SECONDS

_SIGNER = SignatureVerifier("local-signing-secret")


class SigningClient:
    """One kept-alive connection; a context manager. It blocks, so the server must answer without the local Slack."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._socket = socket.create_connection((self._url.hostname, self._url.port), SLACK_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def post(self, form: str) -> float:
        """Send a form, and return the seconds until its acknowledgement, an empty 200, is complete."""
        request = self._signed(form)
        began = time.perf_counter()
        self._socket.sendall(request)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            received = self._socket.recv(65536)
            assert received, "the server closed the connection"
            answer += received
        seconds = time.perf_counter() - began
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        assert b"content-length: 0\r\n" in answer.lower(), answer
        return seconds

    def _signed(self, form: str) -> bytes:
        timestamp = str(int(time.time()))
        headers = {
            "Host": self._url.netloc,
            "Content-Type": "application/x-www-form-urlencoded",
            "Content-Length": str(len(form)),
            "X-Slack-Request-Timestamp": timestamp,
            "X-Slack-Signature": _SIGNER.generate_signature(timestamp=timestamp, body=form),
        }
        lines = (f"POST {self._url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()))
        return "\r\n".join((*lines, "", form)).encode()
