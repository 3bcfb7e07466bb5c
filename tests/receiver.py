"""A webhook's receiver on loopback, which can be told to refuse, redirect, hang or hang up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["Receiver", "receiver"]


class Receiver:
    """What came, and how the next requests are answered.

    Args:
        port: Where it listens; 0: on any free one.

    Attributes:
        url: Its URL, which holds a secret.
        took: The messages that it has taken.
        saw: How many requests came.
        answers: How the next ones are answered; when there is none left, with 200.
    """

    def __init__(self, port: int = 0) -> None:
        self.took: list[dict[str, Any]] = []
        self.saw = 0
        self.answers: list[int | str] = []
        self.leaves = threading.Event()
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/secret-path"

    @property
    def texts(self) -> list[str]:
        """The lines of all messages."""
        return [line for one in self.took for line in one["text"].splitlines()]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """One that listens, on this port or on a free one, until the block ends."""
    made = Receiver(port)
    serving = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    serving.start()
    try:
        yield made
    finally:
        made.leaves.set()
        made.server.shutdown()
        serving.join()
        made.server.server_close()


def _handler(made: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with made.lock:
                made.saw += 1
                answer = made.answers.pop(0) if made.answers else 200
            if answer == "hang up":
                self.connection.close()
                return
            if answer == "hang":
                made.leaves.wait(40)
                return
            if answer == "take and hang up":
                made.took.append(json.loads(body))
                self.connection.close()
                return
            assert isinstance(answer, int)
            if answer == 200:
                made.took.append(json.loads(body))
            self.send_response(answer)
            if answer in (301, 302, 307):
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            made.took.append({"text": "a redirect was followed"})

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    return Handler
