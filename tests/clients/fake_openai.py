"""A model API that misbehaves on request: OpenAI's chat completions. Besides `fake_api.py`:

tools N COMMAND        asks for bash(COMMAND) N times in a row, then answers
task PROMPT            lets a subagent work on that; the subagent's model is `slow 300 2`
quota                  429 whose text says that the usage limit is reached
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from tests.clients.fake_api import FakeApi, Json, serve, span

ERRORS = {
    "429": (429, "rate_limit_error", "This request would exceed your account's rate limit."),
    "529": (529, "overloaded_error", "Overloaded"),
    "500": (500, "api_error", "Internal server error"),
    "401": (401, "authentication_error", "invalid api key"),
    "credit": (402, "insufficient_quota", "Insufficient credits"),
    "toolong": (400, "context_length_exceeded", "prompt is too long: 212345 tokens > 200000"),
    "quota": (429, "rate_limit_error", "You've hit your session limit - resets 3pm"),
}


class Completions(FakeApi):
    """One connection of a client."""

    def record(self, body: Json) -> dict[str, Any]:
        messages = body.get("messages") or [{}]
        last = json.dumps(messages[-1])[-400:]
        return {"turns": len(messages), "last": last, "model": body.get("model")}

    def behave(self, body: Json, kind: str, rest: str) -> None:
        if not body.get("tools"):  # a title: never what the test is about
            kind = kind if kind in ERRORS else "ok"
        if kind in ERRORS:
            code, type_, text = ERRORS[kind]
            error = {"error": {"message": text, "type": type_, "code": type_}}
            self.answer(code, error, {"retry-after": rest} if rest else {})
        elif kind == "drop":
            self.drop()
        elif kind == "hang":
            self.hang(rest)
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
            seconds, gap = span(rest)
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
            self.answer(200, whole)
            return

        def chunk(delta: Json, end: str | None = None, **more: object) -> None:
            choice = {"index": 0, "delta": delta, "finish_reason": end}
            self.chunk(f"data: {json.dumps({**base, 'choices': [choice], **more})}\n\n")

        with self.stream():
            chunk({"role": "assistant", "content": ""})
            for delta in deltas:
                if delta is None:
                    self.chunk(": ping\n\n")
                else:
                    chunk(delta)
            chunk({}, finish, usage=usage)
            self.chunk("data: [DONE]\n\n")


if __name__ == "__main__":
    serve(Completions)
