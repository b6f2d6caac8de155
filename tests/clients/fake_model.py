"""A model API that misbehaves on request: the Anthropic Messages API. Besides `fake_api.py`:

call TOOL JSON         asks for that tool with that input; once it has the result, it answers
delegate SECONDS [GAP] gives a subagent something to do, which answers one word each GAP
403                    a login that was revoked
limit CLAIM SECONDS    a usage limit (five_hour, seven_day) that ends in SECONDS
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tests.clients.fake_api import FakeApi, Json, serve, span

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


class Messages(FakeApi):
    """One connection of a client."""

    def record(self, body: Json) -> dict[str, Any]:
        messages = body.get("messages") or [{}]
        return {
            "turns": len(messages),
            "path": self.path,
            "delegated": delegated(body),
            "last": json.dumps(messages[-1])[-400:],
        }

    def behave(self, body: Json, kind: str, rest: str) -> None:
        if self.path.split("?")[0].endswith("count_tokens"):
            self.answer(200, {"input_tokens": 1234})
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
            self.drop()
        elif kind == "hang" and not aside:
            self.hang(rest)
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
            seconds, gap = span(rest)
            self._send(body, self._text("slow", seconds, gap), "end_turn")
        elif kind == "delegate" and not done:
            agent = {"description": "a part", "prompt": TASK, "subagent_type": "general-purpose"}
            self._send(body, self._tool("Agent", agent), "tool_use")
        elif kind == "call" and not done:
            tool, _, text = rest.partition(" ")
            self._send(body, self._tool(tool, json.loads(text)), "tool_use")
        elif kind in ("slow", "silent", "ping"):
            seconds, gap = span(rest)
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
            self.answer(200, {**message, "content": text, "stop_reason": "end_turn"})
            return
        with self.stream():
            self.event({"type": "message_start", "message": message})
            for event in content:
                self.event(event)
            self.event({"type": "content_block_stop", "index": 0})
            end = {"stop_reason": stop, "stop_sequence": None}
            self.event({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}})
            self.event({"type": "message_stop"})

    def _error(self, code: int, type_: str, text: str, headers: Mapping[str, str]) -> None:
        self.answer(code, {"type": "error", "error": {"type": type_, "message": text}}, headers)


if __name__ == "__main__":
    serve(Messages)
