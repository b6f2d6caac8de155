"""A model API that misbehaves on request: the OpenAI Responses API, as `fake_api.py` says.

A command that still runs after two seconds is asked for again and again, as a model does. A
request's record has the whole `input`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from typing import Any

from tests.clients.fake_api import FakeApi, Json, serve, span
from tests.clients.fake_model import ERRORS

USAGE = {"input_tokens": 1000, "output_tokens": 5, "total_tokens": 1005}

RUNNING = re.compile(r"running with session ID (\d+)")


class Responses(FakeApi):
    """One connection of a client."""

    def record(self, body: Json) -> dict[str, Any]:
        return {"input": body.get("input") or []}

    def behave(self, body: Json, kind: str, rest: str) -> None:
        if not body.get("tools"):  # a title: never what the test is about
            kind = "ok"
        if kind in ERRORS:
            code, type_, text = ERRORS[kind]
            self.answer(code, {"type": "error", "error": {"type": type_, "message": text}})
        elif kind == "hang":
            self.hang(rest)
        elif kind == "drop":
            self.drop()
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
            seconds, gap = span(rest)
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
        with self.stream():
            self.event({"type": "response.created", "response": response})
            for event in items:
                self.event(event)
            self.event({"type": "response.completed", "response": {**response, "usage": USAGE}})


if __name__ == "__main__":
    serve(Responses)
