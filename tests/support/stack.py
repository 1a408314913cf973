"""A stack of its own: started as `make up` starts it, on its own ports and state, stopped at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg2

from embedded import supervision
from embedded.settings import ROOT, StackSettings
from tests.support.oracle import Candle
from tests.support.ports import free_ports

ENDED = {"succeeded", "partial", "failed", "cancelled", "incomplete"}
KEY = "test-api-key"


def until(what: str, condition: Callable[[], Any], timeout_s: float = 60, every_s: float = 0.1) -> Any:
    """Poll until the condition is true and return it; fail saying what was waited for."""
    end = time.monotonic() + timeout_s
    while True:
        if result := condition():
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain for: {what}")
        time.sleep(every_s)


class Stack:
    """Environment, commands and the API of one running stack."""

    def __init__(self, state: Path, csv_dir: Path, **settings: str) -> None:
        api, postgres, kafka = free_ports(3)
        self.csv_dir = csv_dir
        self.variables = {
            "API_PORT": str(api), "POSTGRES_PORT": str(postgres), "KAFKA_PORT": str(kafka), "STATE_DIR": str(state), "CSV_DIR": str(csv_dir),
            "POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "p@ss/word 1", "POSTGRES_DB": "ingestion_test", "DATABASE_URL": "", "API_KEY": KEY, "MODE": "native",
            "KAFKA_SESSION_TIMEOUT_MS": "6000", "KAFKA_HEAP": "384m", "RSS_FEEDS": "[]", "COIN_IDS": "[]", **settings,
        }  # fmt: skip
        self.environment = {**os.environ, **self.variables}
        self.settings = StackSettings(
            _env_file=None,
            **{name.lower(): value for name, value in self.variables.items() if name.lower() in StackSettings.model_fields and value},
        )
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{api}/api/v1", headers={"x-api-key": KEY}, timeout=20, trust_env=False)

    # -- the stack ----------------------------------------------------------------------------------------------------

    def command(self, *arguments: str, timeout_s: float = 180, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "embedded", *arguments],
            cwd=ROOT,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def up(self) -> None:
        done = self.command("up")
        assert done.returncode == 0, done.stdout + done.stderr

    def down(self) -> None:
        done = self.command("down")
        assert done.returncode == 0, done.stdout + done.stderr

    def pids(self, service: str) -> list[int]:
        return [process["pid"] for process in supervision.processes(self.settings) if process["group"] == service and process["pid"]]

    def kill(self, service: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to one instance of a service."""
        os.kill(self.pids(service)[0], number)

    def stop_part(self, name: str) -> None:
        supervision.rpc(self.settings).stopProcessGroup(name, True)

    def start_part(self, name: str) -> None:
        supervision.rpc(self.settings).startProcessGroup(name, False)

    def processes(self) -> list[psutil.Process]:
        """Every process of the stack, found by its supervisor."""
        supervisor = psutil.Process(int((self.settings.state / "supervisord.pid").read_text()))
        return [supervisor, *supervisor.children(recursive=True)]

    def wait_ready(self) -> None:
        def is_ready() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                return self.api.get("/health/ready").status_code == 200
            return False

        until("the gateway to be ready", is_ready, 60)

    # -- the API ------------------------------------------------------------------------------------------------------

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

    def wait_for(self, run_id: str, timeout_s: float = 120) -> dict[str, Any]:
        """The run at its end."""
        return dict(until(f"run {run_id} to end", lambda: (run := self.run_state(run_id))["status"] in ENDED and run, timeout_s, 0.2))

    def wait_for_records(self, run_id: str, records: int, timeout_s: float = 90) -> None:
        until(
            f"{records} records of run {run_id}",
            lambda: self.run_state(run_id)["records"] >= records or self.run_state(run_id)["status"] in ENDED,
            timeout_s,
            0.05,
        )

    def ingest(self, timeout_s: float = 120, **body: Any) -> dict[str, Any]:
        return self.wait_for(self.start_run(**body), timeout_s)

    # -- the tables ---------------------------------------------------------------------------------------------------

    def query(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self.settings.dsn())
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SET timezone = 'UTC'")
                cursor.execute(sql, arguments or None)
                return cursor.fetchall()
        finally:
            connection.close()

    def execute(self, sql: str) -> None:
        """One statement outside a transaction."""
        connection = psycopg2.connect(self.settings.dsn())
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
        connection.close()

    def candles(self, stream: str) -> list[Candle]:
        return self.query(
            'SELECT "timestamp", open, high, low, close, volume FROM unified_data WHERE stream = %s AND kind = \'candle\' ORDER BY "timestamp"',
            stream,
        )  # type: ignore[return-value]

    def assert_ledger(self, run_id: str, stream: str, records: int) -> None:
        """Pages are numbered without gap or double, and every record of the input stands in exactly one column."""
        rows = self.query(
            "SELECT page_no, records, inserted + updated + unchanged + skipped + rejected FROM page_receipts WHERE run_id = %s AND stream = %s ORDER BY page_no",
            run_id,
            stream,
        )
        assert [row[0] for row in rows] == list(range(len(rows)))
        assert sum(row[1] for row in rows) == records
        assert all(row[1] == row[2] for row in rows)
        assert self.query("SELECT count(*), sum(record_count) FROM raw_data WHERE run_id = %s AND stream = %s", run_id, stream) == [
            (len(rows), records)
        ]


@contextlib.contextmanager
def running(state: Path, csv_dir: Path, **settings: str) -> Iterator[Stack]:
    stack = Stack(state, csv_dir, **settings)
    stack.up()
    try:
        yield stack
    finally:
        stack.api.close()
        stack.down()
