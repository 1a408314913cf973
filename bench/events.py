"""How many changes a second reach a client of `GET /events`, and how long after their commit."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.support.events import events
from tests.support.product import KEY
from tests.support.stack import Stack

BATCHES = 40
A_BATCH = 1_000  # data points that are committed together
PAUSE_S = 0.05
_INSERT = """
INSERT INTO points (id, series_id, "timestamp", close, value_hash, raw_time, raw_offset,
                    normalizer_version, record_index, page_id)
SELECT point_id('candle', at, gen_random_uuid()), (SELECT min(series_id) FROM series), at, 1, 1, 1,
       1, 5, 0, gen_random_uuid()
FROM generate_series(1, {rows}) AS n
CROSS JOIN LATERAL (SELECT '2024-06-01Z'::timestamptz + n * interval '1 second') AS t (at)
"""


class _Client:
    """Takes what comes; `delays` in seconds since the commit."""

    def __init__(self, stack: Stack) -> None:
        self._url = (
            f"http://127.0.0.1:{stack.settings.api_port}/api/v1/events"
        )
        self.is_listening = threading.Event()
        self.delays: list[float] = []
        self.began = 0.0
        self.ended = 0.0

    def run(self) -> None:
        with (
            httpx.Client(trust_env=False, timeout=30) as client,
            client.stream(
                "GET",
                self._url,
                params={"types": "change"},
                headers={"x-api-key": KEY},
            ) as answer,
        ):
            for name, _, data in events(answer):
                self.is_listening.set()
                if name != "change":
                    continue
                now = datetime.now(UTC)
                at = datetime.fromisoformat(data["at"])
                self.delays.append((now - at).total_seconds())
                self.began = self.began or time.monotonic()
                self.ended = time.monotonic()
                if len(self.delays) == BATCHES * A_BATCH:
                    return


def measure(stack: Stack) -> dict[str, Any]:
    """One client, batches that are committed twenty times a second, as far as that goes."""
    stack.execute("SELECT ensure_partition(2024, 6)")
    client = _Client(stack)
    thread = threading.Thread(target=client.run)
    thread.start()
    client.is_listening.wait(30)
    for _ in range(BATCHES):
        stack.execute(_INSERT.format(rows=A_BATCH))
        time.sleep(PAUSE_S)
    thread.join(120)
    delays = sorted(client.delays)
    return {
        "events": len(delays),
        "per_s": round(len(delays) / (client.ended - client.began)),
        "delay_p50_ms": round(delays[len(delays) // 2] * 1000),
        "delay_p99_ms": round(delays[int(len(delays) * 0.99)] * 1000),
    }


def line(found: dict[str, Any]) -> str:
    return (
        f"  {found['per_s']:>8} events/s to one client   "
        f"{found['delay_p50_ms']} ms after the commit, p99 {found['delay_p99_ms']} ms"
    )
