"""What the fake model APIs have in common: HTTP on loopback, and a folder that says what to do.

    python -m tests.clients.fake_… PORT FOLDER      PORT 0: any; it is written to FOLDER/port

What a model does stands in FOLDER/behaviour, one line, read anew for each request:

    ok [TEXT]              a short answer
    tool COMMAND           asks for a shell's COMMAND; once it has the result, it answers
    slow SECONDS [GAP]     one word each GAP (1) seconds
    silent SECONDS         a message begins, then nothing
    ping SECONDS           a message begins, then only pings
    hang SECONDS           the request is accepted and never answered
    drop                   the connection ends without an answer
    429 [RETRY_AFTER]  529  500  401  credit  toolong

Each request is a line of FOLDER/requests.jsonl: what was asked, not the whole body.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]


class FakeApi(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    folder = Path()

    def record(self, body: Json) -> dict[str, Any]:
        """What is noted of a request besides the time, the behaviour and the number of tools."""
        raise NotImplementedError

    def behave(self, body: Json, kind: str, rest: str) -> None:
        """Answer the request, or don't."""
        raise NotImplementedError

    # ------------------------------------------------------------------ requests

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self.answer(404, {"error": {"message": "not found"}})

    def do_HEAD(self) -> None:
        self.answer(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        kind, _, rest = (self.folder / "behaviour").read_text().strip().partition(" ")
        record = {"t": time.time(), "kind": kind, "tools": len(body.get("tools") or [])}
        with (self.folder / "requests.jsonl").open("a") as file:
            file.write(json.dumps({**record, **self.record(body)}) + "\n")
        try:
            self.behave(body, kind, rest.strip())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # ------------------------------------------------------------------ answers

    def drop(self) -> None:
        """End the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(2)

    def hang(self, seconds: str) -> None:
        """No answer for so long (600), then the end of the connection."""
        time.sleep(float(seconds or 600))
        self.close_connection = True

    @contextmanager
    def stream(self) -> Iterator[None]:
        """An answer in pieces, each sent by `chunk`."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        yield
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def event(self, data: Json) -> None:
        """One event, named by its type."""
        self.chunk(f"event: {data['type']}\ndata: {json.dumps(data)}\n\n")

    def answer(self, code: int, value: Json, headers: Mapping[str, str] = {}) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def span(rest: str) -> tuple[float, float]:
    """`SECONDS [GAP]`."""
    seconds, gap = (*map(float, rest.split()), 1.0)[:2]
    return seconds, gap


def serve(handler: type[FakeApi]) -> None:
    """Serve until the process is ended."""
    port, handler.folder = int(sys.argv[1]), Path(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    (handler.folder / "port").write_text(str(server.server_port))
    server.serve_forever()
