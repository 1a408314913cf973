"""HTTP as uvicorn speaks it, with a bound on what is no body and on connections without a request.

The parser keeps headers until they are whole, however long they are, and a connection that sends
nothing is never closed.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
)

from services.gateway.problems import MEDIA_TYPE
from shared.runtime import logs

MAX_HEAD_BYTES = 64 * 1024  # of request line and headers
MAX_FRAMING = 1  # bytes around each byte of a body that comes in chunks
FIRST_BYTE_S = 10.0  # for a request's headers to be whole
MAX_PIPELINED = 8  # requests that wait on a connection
MAX_CONNECTIONS = 1_000
TOO_MANY = (
    f"more than {MAX_PIPELINED} requests came before an answer was taken"
)
NOT_HTTP = "the request is not valid HTTP/1.1"
log = logs.get(__name__)


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    # Those without a whole request so far, the oldest first.
    _silent: dict[BoundedProtocol, None] = {}  # noqa: RUF012  one for all

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._surplus = 0  # bytes of the request that are no body
        self._is_in_head = True
        self._refusal = NOT_HTTP
        self._wait: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent[self] = None
        self._await_request()
        if len(self.connections) > MAX_CONNECTIONS and self._silent:
            next(iter(self._silent)).drop("too many connections")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_wait()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.parser is None or self.transport.is_closing():
            return
        if self._wait is None and self._is_in_head:
            self._await_request()
        self._surplus += len(data)
        super().data_received(data)
        if self._surplus > MAX_HEAD_BYTES and self.parser is not None:
            self.refuse(431, "the headers have too many bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:  # what comes behind a body is no header
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._refusal = TOO_MANY
            # Which the parser takes for a request that is not valid.
            raise ValueError(TOO_MANY)
        self._surplus = 0
        self._is_in_head = False
        self._end_wait()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        # What surrounds a body may grow with it.
        self._surplus -= (1 + MAX_FRAMING) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._surplus = 0
        self._is_in_head = True
        super().on_message_complete()

    def _await_request(self) -> None:
        """Close the connection unless a whole request comes in time."""
        self._end_wait()
        self._silent[self] = None
        self._wait = self.loop.call_later(
            FIRST_BYTE_S, self.drop, "no request came"
        )

    def _end_wait(self) -> None:
        self._silent.pop(self, None)
        if self._wait is not None:
            self._wait.cancel()
            self._wait = None

    def drop(self, reason: str) -> None:
        """Close a connection on which no request is at work."""
        log.info("connection_dropped", reason=reason)
        self._end_wait()
        self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, self._refusal)

    def refuse(self, status: int, detail: str) -> None:
        """Answer with a problem and close the connection."""
        self._end_wait()
        # What is at work on this connection finds that nobody takes its answer.
        for cycle in (self.cycle, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnected = True
        problem = {
            "type": "about:blank",
            "status": status,
            "detail": detail,
        }
        body = json.dumps(problem).encode()
        head = (
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()
