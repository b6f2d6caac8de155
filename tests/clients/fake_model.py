"""A model API that misbehaves on request: the Anthropic Messages API, on loopback only.

    python fake_model.py PORT FOLDER

What it does stands in FOLDER/behaviour, one line, read anew for each request:

    ok [TEXT]              a short answer
    tool COMMAND           asks for Bash(COMMAND); once it has the result, it answers
    call TOOL JSON         asks for that tool with that input; once it has the result, it answers
    delegate SECONDS [GAP] gives a subagent something to do, which answers one word each GAP
    slow SECONDS [GAP]     one word each GAP (1) seconds
    silent SECONDS         a message begins, then nothing
    ping SECONDS           a message begins, then only pings
    hang SECONDS           the request is accepted and never answered
    drop                   the connection ends without an answer
    429 [RETRY_AFTER]  529  500  401  403  credit  toolong
    limit CLAIM SECONDS    a usage limit (five_hour, seven_day) that ends in SECONDS

Each request is a line of FOLDER/requests.jsonl: what was asked, not the whole body.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

USAGE = {"input_tokens": 1000, "output_tokens": 5}

TASK = "Do the part that was delegated."

ERRORS = {
    "429": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    "529": (529, "overloaded_error", "Overloaded"),
    "500": (500, "api_error", "Internal server error"),
    "401": (401, "authentication_error", "invalid x-api-key"),
    "403": (403, "permission_error", "OAuth token has been revoked"),
    "credit": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. "
        "Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    "toolong": (
        400,
        "invalid_request_error",
        "prompt is too long: 212345 tokens > 200000 maximum",
    ),
}


def limit_headers(claim: str, seconds: float) -> dict[str, str]:
    """What the API says of a subscriber's usage limit that ends in `seconds`."""
    ends = str(int(time.time() + seconds))
    prefix = "anthropic-ratelimit-unified"
    return {
        f"{prefix}-status": "rejected",
        f"{prefix}-reset": ends,
        f"{prefix}-representative-claim": claim,
        f"{prefix}-overage-status": "rejected",
        f"{prefix}-overage-disabled-reason": "org_level_disabled",
        "retry-after": str(int(seconds)),
        "x-should-retry": "false",
    }


def delegated(body: Json) -> bool:
    """Whether a subagent asks."""
    return TASK in json.dumps((body.get("messages") or [{}])[0])


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    folder = Path()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        self._answer(404, {"type": "error", "error": {"type": "not_found_error"}})

    def do_HEAD(self) -> None:
        self._answer(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        try:
            words = (self.folder / "behaviour").read_text().split(" ", 1)
        except OSError:
            words = ["ok"]
        kind, rest = words[0].strip(), (words[1].strip() if len(words) > 1 else "")
        messages = body.get("messages") or [{}]
        record = {"t": time.time(), "kind": kind, "turns": len(messages), "path": self.path}
        record["delegated"] = delegated(body)
        record["tools"] = len(body.get("tools") or [])
        record["last"] = json.dumps(messages[-1])[-400:]
        with (self.folder / "requests.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        try:
            self._behave(body, kind, rest)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _behave(self, body: Json, kind: str, rest: str) -> None:
        if self.path.split("?")[0].endswith("count_tokens"):
            self._answer(200, {"input_tokens": 1234})
            return
        aside = not body.get("tools")  # a title, a probe: never what the test is about
        if kind in ERRORS:
            code, type_, text = ERRORS[kind]
            headers = {"retry-after": rest} if rest else {}
            self._error(code, type_, text, headers)
        elif kind == "limit":
            claim, seconds = rest.split()
            _, type_, text = ERRORS["429"]
            self._error(429, type_, text, limit_headers(claim, float(seconds)))
        elif kind == "drop":
            self.close_connection = True
            self.connection.shutdown(2)
        elif kind == "hang" and not aside:
            time.sleep(float(rest or 600))
            self.close_connection = True
        else:
            self._message(body, "ok" if aside else kind, rest)

    # ------------------------------------------------------------------ messages

    def _message(self, body: Json, kind: str, rest: str) -> None:
        last = (body.get("messages") or [{}])[-1].get("content")
        blocks = last if isinstance(last, list) else []
        done = any(isinstance(b, dict) and b.get("type") == "tool_result" for b in blocks)
        if kind == "tool" and not done:
            call = {"command": rest, "description": "Fake tool call"}
            self._send(body, self._tool("Bash", call), "tool_use")
        elif kind == "delegate" and delegated(body):
            seconds, gap = (*map(float, rest.split()), 1.0)[:2]
            self._send(body, self._text("slow", seconds, gap), "end_turn")
        elif kind == "delegate" and not done:
            agent = {"description": "a part", "prompt": TASK, "subagent_type": "general-purpose"}
            self._send(body, self._tool("Agent", agent), "tool_use")
        elif kind == "call" and not done:
            tool, _, text = rest.partition(" ")
            self._send(body, self._tool(tool, json.loads(text)), "tool_use")
        elif kind in ("slow", "silent", "ping"):
            seconds, gap = (*map(float, rest.split()), 1.0)[:2]
            self._send(body, self._text(kind, seconds, gap), "end_turn")
        else:
            text = rest if kind == "ok" and rest else "Fake answer."
            self._send(body, self._text("ok", 0, 0, text), "end_turn")

    def _tool(self, tool: str, call: Json) -> Iterable[Json]:
        name = f"toolu_fake{time.monotonic_ns()}"
        block = {"type": "tool_use", "id": name, "name": tool, "input": {}}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call)}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}

    def _text(
        self, kind: str, seconds: float, gap: float, text: str = "Fake answer."
    ) -> Iterable[Json]:
        until = time.monotonic() + seconds
        if kind == "silent":
            time.sleep(seconds)
        while kind == "ping" and time.monotonic() < until:
            yield {"type": "ping"}
            time.sleep(gap)
        block = {"type": "text", "text": ""}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        while kind == "slow" and time.monotonic() < until:
            delta = {"type": "text_delta", "text": "word "}
            yield {"type": "content_block_delta", "index": 0, "delta": delta}
            time.sleep(gap)
        delta = {"type": "text_delta", "text": text}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}

    def _send(self, body: Json, content: Iterable[Json], stop: str) -> None:
        message = {
            "id": f"msg_fake{time.monotonic_ns()}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model") or "fake",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": USAGE,
        }
        if not body.get("stream"):
            text = [{"type": "text", "text": "Fake answer."}]
            self._answer(200, {**message, "content": text, "stop_reason": "end_turn"})
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._event({"type": "message_start", "message": message})
        for event in content:
            self._event(event)
        self._event({"type": "content_block_stop", "index": 0})
        end = {"stop_reason": stop, "stop_sequence": None}
        self._event({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}})
        self._event({"type": "message_stop"})
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    # ------------------------------------------------------------------ HTTP

    def _event(self, event: Json) -> None:
        data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _error(self, code: int, type_: str, text: str, headers: Mapping[str, str]) -> None:
        self._answer(code, {"type": "error", "error": {"type": type_, "message": text}}, headers)

    def _answer(self, code: int, value: Json, headers: Mapping[str, str] = {}) -> None:
        data = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
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
