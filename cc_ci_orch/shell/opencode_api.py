"""The HTTP API of an opencode server: what is asked of it, and what became of that."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from cc_ci_orch.shell.ports import CannotTell

TIMEOUT = 10.0
"""Seconds for an answer: it comes in 0.02, on a machine that can't keep up in 5."""

STREAM_TIMEOUT = 30.0
"""Seconds of silence after which a stream of events is opened anew; it has a heartbeat of 10."""

LARGEST = 64 * 1024 * 1024


class Absent(CannotTell):
    """The server answers, and says that there is no such thing."""


class NoAnswer(CannotTell):
    """It takes the connection, and is silent: unlike one that nobody listens at, it may hang."""


@dataclass(frozen=True)
class OpencodeApi:
    """A server, and the folder that is asked about; without one it tells of all.

    Every method raises CannotTell.
    """

    url: str
    directory: str = ""
    password: str = ""
    username: str = "opencode"

    def get(self, path: str, timeout: float = TIMEOUT, **query: str) -> Any:
        """The JSON value; `Absent` for a 404."""
        return self._ask("GET", path, None, timeout, query)

    def post(self, path: str, body: Mapping[str, Any], timeout: float = TIMEOUT) -> Any:
        """The JSON value of the answer; None where it is empty."""
        return self._ask("POST", path, body, timeout, {})

    def events(self) -> Iterator[Any]:
        """The events from now on, until the server ends the stream (or is silent for long)."""
        connection = self._connect(STREAM_TIMEOUT)
        try:
            response = self._send(connection, "GET", "/event", None, {})
            if response.status != 200:
                raise CannotTell(f"its API answers {response.status}")
            while line := response.readline(LARGEST):
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _told(error) from None
        finally:
            connection.close()

    # ------------------------------------------------------------------------- HTTP

    def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        timeout: float,
        query: Mapping[str, str],
    ) -> Any:
        connection = self._connect(timeout)
        try:
            response = self._send(connection, method, path, body, query)
            data = response.read(LARGEST)
            if response.status == 404:
                raise Absent(f"its API knows no {path}")
            if response.status >= 300:
                raise CannotTell(f"its API answers {response.status}")
            return json.loads(data) if data else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _told(error) from None
        finally:
            connection.close()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        asked = {"directory": self.directory, **query} if self.directory else query
        words = "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items())
        headers = {"content-type": "application/json"}
        if self.password:
            login = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            headers["authorization"] = f"Basic {login}"
        data = None if body is None else json.dumps(body).encode()
        where = f"{urlsplit(self.url).path.rstrip('/')}{path}?{words}"
        connection.request(method, where, data, headers)
        return connection.getresponse()


def of_server(url: str, env: Mapping[str, str], directory: str = "") -> OpencodeApi:
    """A server that somebody else runs, with the login that the environment has for it."""
    user = env.get("OPENCODE_SERVER_USERNAME") or "opencode"
    return OpencodeApi(url, directory, env.get("OPENCODE_SERVER_PASSWORD", ""), user)


def _told(error: Exception) -> CannotTell:
    if isinstance(error, ConnectionRefusedError):
        return CannotTell("nobody listens at its API")
    if isinstance(error, TimeoutError):
        return NoAnswer("its API gives no answer")
    return CannotTell(f"its API can't be read: {error}")
