"""Requests per second of typical reads at 16 connections, against pgbench running the same selects."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
import time
from datetime import datetime
from typing import Any

from embedded import postgres
from services.gateway.data_query import Filters, build
from tests.support.product import KEY
from tests.support.stack import Stack

CONNECTIONS = 16
SECONDS = 6
READS = {
    "/data?limit=100": Filters(),
    "/data?limit=100&symbol=SYMBOL": Filters(symbol="SYMBOL"),
    "/data?limit=1&source=csv": Filters(source="csv", limit=1),
    "/data?limit=1000&kind=candle": Filters(kind="candle", limit=1000),
}


def measure(stack: Stack, symbol: str) -> list[dict[str, Any]]:
    """One row a read."""
    rows = []
    for path, filters in READS.items():
        wanted = Filters(**{**vars(filters), "symbol": symbol if filters.symbol else None})
        rate, p99_ms = asyncio.run(_load(stack.settings.api_port, path.replace("SYMBOL", symbol)))
        limit = _pgbench(stack, wanted)
        rows.append(
            {
                "read": path.replace("SYMBOL", symbol),
                "requests_per_s": round(rate),
                "p99_ms": round(p99_ms, 1),
                "limit_requests_per_s": round(limit),
                "ratio": round(rate / limit, 2),
            }
        )
    return rows


async def _load(port: int, path: str) -> tuple[float, float]:
    """(requests per second, 99th percentile in ms); bounded in time."""
    request = f"GET /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nx-api-key: {KEY}\r\n\r\n".encode()
    latencies: list[float] = []
    until = time.monotonic() + SECONDS
    started = time.monotonic()
    await asyncio.gather(*(_one_connection(port, request, until, latencies) for _ in range(CONNECTIONS)))
    latencies.sort()
    return len(latencies) / (time.monotonic() - started), latencies[int(len(latencies) * 0.99)] * 1000


async def _one_connection(port: int, request: bytes, until: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (begun := time.monotonic()) < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if not head.startswith(b"HTTP/1.1 200") or not found:
            raise SystemExit(f"the API answered {head[:80]!r}")
        await reader.readexactly(int(found[1]))
        latencies.append(time.monotonic() - begun)
    writer.close()


def _pgbench(stack: Stack, filters: Filters) -> float:
    query, arguments = build(filters)
    for number, value in sorted(enumerate(arguments, 1), reverse=True):
        literal = f"'{value}'" if isinstance(value, str | datetime) else str(value)
        query = query.replace(f"${number}", literal)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(" ".join(query.split()) + ";\n")
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
            stack.settings.dsn(),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if not found:
        raise SystemExit(f"pgbench failed: {done.stderr.strip()[-300:]}")
    return float(found[1])
