"""The product as its users and its operators see it.

The API and the tables, wherever the services run.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg2

from tests.support.oracle import Candle

ENDED = {"succeeded", "partial", "failed", "cancelled", "incomplete"}
KEY = "test-api-key"


def until(
    what: str,
    condition: Callable[[], Any],
    timeout_s: float = 60,
    every_s: float = 0.1,
) -> Any:
    """Poll until the condition is true and return it; fail saying what was waited for."""
    end = time.monotonic() + timeout_s
    while True:
        if result := condition():
            return result
        if time.monotonic() > end:
            raise AssertionError(
                f"waited {timeout_s:.0f} s in vain for: {what}"
            )
        time.sleep(every_s)


class Product:
    """A running product by the address of its API and of its database."""

    def __init__(self, api_port: int, dsn: str) -> None:
        self.dsn = dsn
        self.api = httpx.Client(
            base_url=f"http://127.0.0.1:{api_port}/api/v1",
            headers={"x-api-key": KEY},
            timeout=20,
            trust_env=False,
        )

    def wait_ready(self) -> None:
        def is_ready() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return self.api.get("/health/ready").status_code == 200
            return False

        until("the gateway to be ready", is_ready, 60)

    # -- the API ---------------------------------------------------------------------------------

    def start_run(self, **body: Any) -> str:
        answer = self.api.post("/ingest", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["run_id"])

    def run_state(self, run_id: str) -> dict[str, Any]:
        with contextlib.suppress(httpx.HTTPError):
            answer = self.api.get(f"/runs/{run_id}")
            if answer.status_code == 200:
                return dict(answer.json())
        return {"status": "unknown", "records": 0, "items_processed": 0}

    def wait_for(
        self, run_id: str, timeout_s: float = 120
    ) -> dict[str, Any]:
        """The run at its end."""
        return dict(
            until(
                f"run {run_id} to end",
                lambda: (
                    (run := self.run_state(run_id))["status"] in ENDED
                    and run
                ),
                timeout_s,
                0.2,
            )
        )

    def wait_for_records(
        self, run_id: str, records: int, timeout_s: float = 90
    ) -> None:
        until(
            f"{records} records of run {run_id}",
            lambda: (
                self.run_state(run_id)["records"] >= records
                or self.run_state(run_id)["status"] in ENDED
            ),
            timeout_s,
            0.05,
        )

    def ingest(
        self, timeout_s: float = 120, **body: Any
    ) -> dict[str, Any]:
        return self.wait_for(self.start_run(**body), timeout_s)

    # -- the tables ------------------------------------------------------------------------------

    def query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.dsn)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SET timezone = 'UTC'")
                cursor.execute(sql, arguments or None)
                return cursor.fetchall()
        finally:
            connection.close()

    def execute(self, sql: str) -> None:
        """One statement outside a transaction."""
        connection = psycopg2.connect(self.dsn)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()

    def candles(self, stream: str) -> list[Candle]:
        return self.query(
            'SELECT "timestamp", open, high, low, close, volume FROM unified_data WHERE stream'
            " = %s AND kind = 'candle' ORDER BY \"timestamp\"",
            stream,
        )  # type: ignore[return-value]

    def assert_ledger(
        self, run_id: str, stream: str, records: int
    ) -> None:
        """Pages are numbered without gap or double.

        And every record of the input stands in exactly one column.
        """
        rows = self.query(
            "SELECT page_no, records, inserted + updated + unchanged + skipped + rejected FROM"
            " page_receipts WHERE run_id = %s AND stream = %s ORDER BY page_no",
            run_id,
            stream,
        )
        assert [row[0] for row in rows] == list(range(len(rows)))
        assert sum(row[1] for row in rows) == records
        assert all(row[1] == row[2] for row in rows)
        assert self.query(
            "SELECT count(*), sum(record_count) FROM raw_data WHERE run_id = %s AND stream = %s",
            run_id,
            stream,
        ) == [(len(rows), records)]
