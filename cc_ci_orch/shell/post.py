"""One HTTP POST with an end in time, whatever stands at the other side."""

from __future__ import annotations

import base64
import queue
import threading
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from cc_ci_orch.shell.ports import CannotTell

LONGEST = 200
"""Characters of a header: a title is a line, and no server takes a long one."""

_KEPT = "/%:;=?&@+$,!~*'()[]"


def post(url: str, text: str, headers: Mapping[str, str], timeout: float) -> None:
    """Send the text; CannotTell, which never quotes the address, if that was not answered with
    a success within `timeout` seconds, name look-up and slow drops of an answer included.

    A login in the address goes into a header. A redirect is not followed: it would turn the
    POST into a GET, or carry the login elsewhere.
    """
    request = _request(url, text, headers)
    came: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(
        target=lambda: came.put(_send(request, timeout)), name="post", daemon=True
    ).start()
    try:
        wrong = came.get(timeout=timeout)
    except queue.Empty:
        wrong = f"no answer within {timeout:g} s"
    if wrong:
        raise CannotTell(wrong)


def header(text: str) -> str:
    """The text as the value of a header: one line, what is not ASCII as RFC 2047 has it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST]
    if line.isascii():
        return line
    return f"=?UTF-8?B?{base64.b64encode(line.encode()).decode()}?="


def _request(url: str, text: str, headers: Mapping[str, str]) -> Request:
    parts = urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    given = {name: header(value) for name, value in headers.items()}
    given |= {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "cc-ci-orch"}
    if login:
        user, _, password = login.partition(":")
        pair = f"{unquote(user)}:{unquote(password)}".encode()
        given["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    bare = parts._replace(
        netloc=place, path=quote(parts.path, _KEPT), query=quote(parts.query, _KEPT), fragment=""
    )
    return Request(bare.geturl(), text.encode("utf-8", "replace"), given, method="POST")


class _Stay(HTTPRedirectHandler):
    """A redirect is an answer like any other that is no success."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _send(request: Request, timeout: float) -> str:
    """What went wrong; "" for nothing."""
    try:
        with build_opener(_Stay).open(request, timeout=timeout):
            return ""
    except HTTPError as error:
        moved = " (a redirect, which is not followed)" if 300 <= error.code < 400 else ""
        return f"answered {error.code}{moved}"
    except URLError as error:
        return str(error.reason)
    except Exception as error:  # whatever another side can make of HTTP
        return f"{type(error).__name__}: {error}"
