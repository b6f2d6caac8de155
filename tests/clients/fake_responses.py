"""A model API that misbehaves on request: the OpenAI Responses API, on loopback only.

    python -m tests.clients.fake_responses PORT FOLDER

FOLDER and its files are those of `fake_model.py`, and so are the behaviours `ok`, `tool`, `slow`,
`silent`, `hang`, `drop` and the errors. A command that still runs after two seconds is asked
for again and again, as a model does. A request's record has the whole `input`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterable
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.clients.fake_model import ERRORS, Handler, Json

USAGE = {"input_tokens": 1000, "output_tokens": 5, "total_tokens": 1005}

RUNNING = re.compile(r"running with session ID (\d+)")


class Responses(Handler):
    """One connection of a client."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        kind, _, rest = (self.folder / "behaviour").read_text().strip().partition(" ")
        aside = not body.get("tools")  # a title: never what the test is about
        record = {"t": time.time(), "kind": kind, "input": body.get("input") or []}
        record["tools"] = len(body.get("tools") or [])
        with (self.folder / "requests.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        try:
            self._behave(body, "ok" if aside else kind, rest)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _behave(self, body: Json, kind: str, rest: str) -> None:
        if kind in ERRORS:
            code, type_, text = ERRORS[kind]
            self._error(code, type_, text, {})
        elif kind == "hang":
            time.sleep(float(rest or 600))
            self.close_connection = True
        elif kind == "drop":
            self.close_connection = True
            self.connection.shutdown(2)
        else:
            self._stream(self._items(body, kind, rest))

    def _items(self, body: Json, kind: str, rest: str) -> Iterable[Json]:
        last = (body.get("input") or [{}])[-1]
        if last.get("type") == "function_call_output":
            running = RUNNING.search(json.dumps(last))
            if running:
                poll = {"session_id": int(running[1]), "chars": "", "yield_time_ms": 5000}
                return self._call("write_stdin", poll)
        elif kind == "tool":
            return self._call("exec_command", {"cmd": rest, "yield_time_ms": 2000})
        seconds, gap = 0.0, 1.0
        if kind in ("slow", "silent"):
            seconds, gap = (*map(float, rest.split()), 1.0)[:2]
        said = self._words(kind, seconds, gap, rest if kind == "ok" and rest else "Fake answer.")
        return self._message(said)

    def _call(self, tool: str, arguments: Json) -> Iterable[Json]:
        item = {"type": "function_call", "name": tool, "call_id": f"call_{time.monotonic_ns()}"}
        item["arguments"] = json.dumps(arguments)
        yield {"type": "response.output_item.done", "output_index": 0, "item": item}

    def _words(self, kind: str, seconds: float, gap: float, text: str) -> Iterable[str]:
        until = time.monotonic() + seconds
        if kind == "silent":
            time.sleep(seconds)
        while kind == "slow" and time.monotonic() < until:
            yield "word "
            time.sleep(gap)
        yield text

    def _message(self, words: Iterable[str]) -> Iterable[Json]:
        item: dict[str, Any] = {"type": "message", "role": "assistant"}
        item |= {"id": f"msg_{time.monotonic_ns()}", "content": []}
        place = {"output_index": 0, "content_index": 0, "item_id": item["id"]}
        yield {"type": "response.output_item.added", "output_index": 0, "item": item}
        said = ""
        for word in words:
            said += word
            yield {"type": "response.output_text.delta", **place, "delta": word}
        content = [{"type": "output_text", "text": said, "annotations": []}]
        done = {**item, "content": content}
        yield {"type": "response.output_item.done", "output_index": 0, "item": done}

    def _stream(self, items: Iterable[Json]) -> None:
        response = {"id": f"resp_{time.monotonic_ns()}", "object": "response", "output": []}
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._event({"type": "response.created", "response": response})
        for event in items:
            self._event(event)
        self._event({"type": "response.completed", "response": {**response, "usage": USAGE}})
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    Responses.folder = folder
    server = ThreadingHTTPServer(("127.0.0.1", port), Responses)
    server.daemon_threads = True
    (folder / "port").write_text(str(server.server_port))
    server.serve_forever()


if __name__ == "__main__":
    main()
