"""Requests per second of typical reads at 16 connections.

Against pgbench: with the selects and tables of the yardstick, and with those of today.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

import psycopg2
import uvloop

from bench import yardstick
from embedded.servers import postgres
from services.gateway.queries.data import (
    Chosen,
    Filters,
    build,
    build_choice,
    is_chosen,
)
from services.gateway.requests.filters import SeriesFilter
from tests.support.product import KEY
from tests.support.stack import Stack

CONNECTIONS = 16
SECONDS = 6
_LITERAL = re.compile(r"'(?:[^']|'')*'")


def reads(symbol: str) -> list[dict[str, Any]]:
    """The reads, as parameters of `GET /data`."""
    return [
        {"limit": 100},
        {"limit": 100, "symbol": symbol},
        {"limit": 1, "source": "csv"},
        {"limit": 1000, "kind": "candle"},
    ]


def measure(stack: Stack, symbol: str) -> list[dict[str, Any]]:
    """One row a read."""
    return [_measured(stack, read) for read in reads(symbol)]


def _measured(stack: Stack, read: dict[str, Any]) -> dict[str, Any]:
    path = f"/data?{urlencode(read)}"
    request = f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {KEY}\r\n\r\n".encode()
    rate, p99_ms = uvloop.run(load(stack.settings.api_port, request))
    with writing(stack.settings.dsn()):
        anew, _ = uvloop.run(load(stack.settings.api_port, request))
    limit = pgbench([yardstick.page(**read)], yardstick.dsn_of(stack))
    dsn = stack.settings.dsn()
    of_series = {
        name: value for name, value in read.items() if name != "limit"
    }
    filters = Filters(SeriesFilter(**of_series), limit=read["limit"])
    today = pgbench(selects(filters, dsn), dsn)
    return {
        "read": path,
        "requests_per_s": round(rate),
        "p99_ms": round(p99_ms, 1),
        "anew_per_s": round(anew),
        "limit_requests_per_s": round(limit),
        "ratio": round(rate / limit, 2),
        "today_requests_per_s": round(today),
        "today_ratio": round(rate / today, 2),
    }


@contextmanager
def writing(dsn: str) -> Iterator[None]:
    """Something is written each millisecond, so that no answer that was kept holds."""
    done = threading.Event()

    def write() -> None:
        connection = psycopg2.connect(dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not done.wait(0.001):
                cursor.execute("SELECT pg_current_xact_id()")
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        done.set()
        writer.join()


async def load(port: int, request: bytes) -> tuple[float, float]:
    """(requests per second, 99th percentile in ms); bounded in time."""
    until, started, loop = (
        time.monotonic() + SECONDS,
        time.monotonic(),
        asyncio.get_running_loop(),
    )
    clients = [
        _Client(request, until, loop.create_future())
        for _ in range(CONNECTIONS)
    ]
    for client in clients:
        await loop.create_connection(
            partial(_itself, client), "127.0.0.1", port
        )
    await asyncio.gather(*(client.done for client in clients))
    latencies = sorted(
        latency for client in clients for latency in client.latencies
    )
    return (
        len(latencies) / (time.monotonic() - started),
        latencies[int(len(latencies) * 0.99)] * 1000,
    )


class _Client(asyncio.Protocol):
    """Sends a request when the last was answered.

    It only counts bytes: on two cores, what it takes is missing elsewhere.
    """

    def __init__(
        self, request: bytes, until: float, done: asyncio.Future[None]
    ) -> None:
        self._request, self._until, self.done = request, until, done
        self.latencies: list[float] = []
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._begun, self._head, self._missing = time.monotonic(), b"", 0
        if self._begun < self._until:
            self._transport.write(self._request)  # type: ignore[attr-defined]
        else:
            self._transport.close()
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            found = re.search(
                rb"content-length: (\d+)", head, re.IGNORECASE
            )
            if not head.startswith(b"HTTP/1.1 200") or not found:
                self.done.set_exception(
                    SystemExit(f"the API answered {head[:80]!r}")
                )
                return
            self._missing = int(found[1]) - len(body)
        if not self._missing:
            self.latencies.append(time.monotonic() - self._begun)
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(
                SystemExit(f"the API closed a connection: {error!r}")
            )


def _itself(client: _Client) -> _Client:
    return client


def selects(filters: Filters, dsn: str) -> list[str]:
    """The gateway's select for a page, with its arguments in place, once it knows the series."""
    if not is_chosen(filters):
        return [filled(*build(filters, None))]
    choice = filled(*build_choice(filters))
    nothing: tuple[Any, ...] = ([], [], None, None, 0)
    with (
        psycopg2.connect(dsn) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(choice)
        timed, news, *bounds, _ = cursor.fetchone() or nothing
    connection.close()
    first_id, past_id = (each and uuid.UUID(each) for each in bounds)
    chosen = Chosen(timed, news, first_id, past_id)
    return [filled(*build(filters, chosen))]


def filled(query: str, arguments: list[Any]) -> str:
    for number, value in sorted(enumerate(arguments, 1), reverse=True):
        query = query.replace(f"${number}", _literal(value))
    return query


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        inner = ",".join(
            "NULL" if each is None else f'"{each}"' for each in value
        )
        return f"'{{{inner}}}'"
    if isinstance(value, timedelta):
        return f"interval '{value.total_seconds()} seconds'"
    if isinstance(value, str | datetime | uuid.UUID):
        return "'" + str(value).replace("'", "''") + "'"
    return str(value)


def _without_colons(literal: re.Match[str]) -> str:
    """pgbench takes what follows a colon for one of its variables, in texts too."""
    if ":" not in literal[0]:
        return literal[0]
    escaped = literal[0].replace("\\", "\\\\").replace(":", "\\x3a")
    return f"E{escaped}"


def pgbench(queries: list[str], dsn: str) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        for query in queries:
            plain = _LITERAL.sub(_without_colons, query)
            script.write(" ".join(plain.split()) + ";\n")
        script.flush()
        command = [
            postgres.binary("pgbench"),
            "-n",
            "-M",
            "prepared",
            "-c",
            str(CONNECTIONS),
            "-j",
            "2",
            "-T",
            str(SECONDS),
            "-f",
            script.name,
            dsn,
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if not found:
        raise SystemExit(f"pgbench failed: {done.stderr.strip()[-300:]}")
    return float(found[1])
