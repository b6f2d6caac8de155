"""A model API that misbehaves on request: OpenAI's chat completions, on loopback only.

    python -m tests.clients.fake_openai PORT FOLDER

FOLDER/behaviour and FOLDER/requests.jsonl are those of `fake_model.py`. Besides:

    tools N COMMAND        asks for bash(COMMAND) N times in a row, then answers
    task PROMPT            lets a subagent work on that; the subagent's model is `slow 300 2`
    quota                  429 whose text says that the usage limit is reached
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

ERRORS = {
    "429": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    "529": (529, "overloaded_error", "Overloaded"),
    "500": (500, "api_error", "Internal server error"),
    "401": (401, "authentication_error", "invalid api key"),
    "credit": (402, "insufficient_quota", "Insufficient credits"),
    "toolong": (400, "context_length_exceeded", "prompt is too long: 212345 tokens > 200000"),
    "quota": (429, "rate_limit_error", "You've hit your session limit - resets 3pm"),
}


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    folder = Path()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self._answer(404, {"error": {"message": "not found"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        kind, _, rest = (self.folder / "behaviour").read_text().strip().partition(" ")
        messages = body.get("messages") or [{}]
        record = {"t": time.time(), "kind": kind, "turns": len(messages)}
        record["tools"] = len(body.get("tools") or [])
        record["last"] = json.dumps(messages[-1])[-400:]
        record["model"] = body.get("model")
        with (self.folder / "requests.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        try:
            self._behave(body, kind, rest)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _behave(self, body: Json, kind: str, rest: str) -> None:
        if not body.get("tools"):  # a title: never what the test is about
            kind = kind if kind in ERRORS else "ok"
        if kind in ERRORS:
            code, type_, text = ERRORS[kind]
            error = {"error": {"message": text, "type": type_, "code": type_}}
            self._answer(code, error, {"retry-after": rest} if rest else {})
        elif kind == "drop":
            self.close_connection = True
            self.connection.shutdown(2)
        elif kind == "hang":
            time.sleep(float(rest or 600))
            self.close_connection = True
        else:
            self._message(body, kind, rest)

    def _message(self, body: Json, kind: str, rest: str) -> None:
        results = 0
        for message in reversed(body["messages"]):
            if message.get("role") == "user":
                break
            results += message.get("role") == "tool"
        names = [tool["function"]["name"] for tool in body.get("tools") or []]
        wanted, command = 1, rest
        if kind == "tools":
            count, _, command = rest.partition(" ")
            wanted = int(count)
        if kind == "task" and "task" not in names:
            self._send(body, self._words("slow", 300, 2), "stop")
        elif kind == "task" and results == 0:
            call = {"description": "a task", "prompt": rest, "subagent_type": "general"}
            self._send(body, self._tool("task", call), "tool_calls")
        elif kind in ("tool", "tools") and results < wanted:
            call = {"command": command, "description": "Fake tool call", "timeout": 900_000}
            self._send(body, self._tool("bash", call), "tool_calls")
        elif kind in ("slow", "silent", "ping"):
            seconds, gap = (*map(float, rest.split()), 1.0)[:2]
            self._send(body, self._words(kind, seconds, gap), "stop")
        else:
            text = rest if kind == "ok" and rest else "Fake answer."
            self._send(body, self._words("ok", 0, 0, text), "stop")

    def _tool(self, name: str, call: Json) -> Iterator[Json | None]:
        function = {"name": name, "arguments": json.dumps(call)}
        id = f"call_fake{time.monotonic_ns()}"
        yield {"tool_calls": [{"index": 0, "id": id, "type": "function", "function": function}]}

    def _words(
        self, kind: str, seconds: float, gap: float, text: str = "Fake answer."
    ) -> Iterator[Json | None]:
        until = time.monotonic() + seconds
        if kind == "silent":
            time.sleep(seconds)
        while kind in ("ping", "slow") and time.monotonic() < until:
            yield {"content": "word "} if kind == "slow" else None
            time.sleep(gap)
        yield {"content": text}

    def _send(self, body: Json, deltas: Iterator[Json | None], finish: str) -> None:
        usage = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
        base = {
            "id": f"chatcmpl-fake{time.monotonic_ns()}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": body.get("model") or "fake",
        }
        if not body.get("stream"):
            message = {"role": "assistant", "content": "Fake answer."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {**base, "object": "chat.completion", "choices": [choice], "usage": usage}
            self._answer(200, whole)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

        def chunk(delta: Json, end: str | None = None, **more: object) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": end}
            self._chunk(f"data: {json.dumps({**base, 'choices': [choice], **more})}\n\n")

        chunk({"role": "assistant", "content": ""})
        for delta in deltas:
            if delta is None:
                self._chunk(": ping\n\n")
            else:
                chunk(delta)
        chunk({}, finish, usage=usage)
        self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    # ------------------------------------------------------------------ HTTP

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _answer(self, code: int, value: Json, headers: Mapping[str, str] = {}) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    Handler.folder = folder
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    (folder / "port").write_text(str(server.server_port))
    server.serve_forever()


if __name__ == "__main__":
    main()
