"""A person's phone, for tests: an HTTP receiver on loopback, in whatever mood."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MOODS = ("well", "500", "302", "307", "hangs", "drips", "closes", "rubbish")


class Receiver:
    """Serves until `close`; `got` has the headers, body and path of each request."""

    def __init__(self, mood: str = "well", certificate: Path | None = None) -> None:
        self.mood = mood
        self.got: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                title = str(make_header(decode_header(self.headers["Title"])))
                note = {"title": title, "body": body, "path": self.path, "headers": self.headers}
                outer.got.append(note)
                outer._answer(self)

            def do_GET(self) -> None:  # a redirect that was followed
                outer.got.append({"title": "GET", "path": self.path})
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._closed = threading.Event()

    def url(self, path: str = "/topic", login: str = "", scheme: str = "http") -> str:
        return f"{scheme}://{login}localhost:{self.port}{path}"

    def titles(self) -> list[str]:
        return [note["title"] for note in self.got]

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        match self.mood:
            case "hangs":
                self._closed.wait(60)
            case "drips":
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                while not self._closed.wait(0.05):
                    handler.wfile.write(b"x")
            case "closes":
                handler.wfile.write(b"HTTP/1.")
                handler.connection.shutdown(socket.SHUT_RDWR)
            case "rubbish":
                handler.wfile.write(b"\0\xff" * 1000)
            case "302" | "307" | "500":
                handler.send_response(int(self.mood))
                handler.send_header("Location", self.url("/elsewhere"))
                handler.end_headers()
            case _:
                handler.send_response(200)
                handler.send_header("Content-Length", "0")
                handler.end_headers()


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def timed(work: Any) -> float:
    """The seconds that it takes."""
    begin = time.monotonic()
    work()
    return time.monotonic() - begin
