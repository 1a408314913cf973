"""What questions about prices and coverage cost, beside the same SQL asked by pgbench.

The statements are those that a gateway in this process sends: what it adds is what differs.
`python -m bench.questions`, ROWS=10000000 for the plans of the worst cases on more rows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg2
import uvloop

from bench import api, events
from services.gateway.app import create_app
from services.gateway.database import Database
from services.gateway.replica import Side
from services.gateway.requests.kept_answers import Visible
from services.gateway.routes import data
from services.gateway.routes.prices import ohlcv
from services.gateway.settings import GatewaySettings
from shared.runtime.health import Health
from tests.support.product import KEY
from tests.support.stack import Stack, prepare, running

ROWS = 1_000_000
SYMBOL = "qqa"
DATASETS = 2
PAIRS = 1_000
WORST_MS = 10_000  # the statement timeout
# Minute candles up to 2025, half of them in each dataset, and every thousandth is missing.
_FILL = """
DO $$
DECLARE
    first timestamptz := '2025-01-01Z'::timestamptz - {each} * interval '1 minute';
    at timestamptz := date_trunc('month', first);
BEGIN
    WHILE at < '2025-01-01Z' LOOP
        PERFORM ensure_partition(extract(year FROM at)::int, extract(month FROM at)::int);
        at := at + interval '1 month';
    END LOOP;
END $$;
INSERT INTO series (key, source, dataset, stream, kind, instrument, symbol, "interval", currency,
                    timestamp_is, first_id, past_id)
SELECT gen_random_uuid(), 'csv', 'questions' || n, 'csv/questions' || n || '/{symbol}.csv',
       'candle', '{symbol}-usd', '{symbol}', '1m', 'USD', 'open',
       first_point_id('2025-01-01Z'::timestamptz - {each} * interval '1 minute'),
       first_point_id('2025-01-01Z')
FROM generate_series(1, {datasets}) AS n;
INSERT INTO asked (stream, outcome, reason, every_s, first_at, last_at, run_id)
SELECT stream, 'answered', '', 0, '2025-01-01Z'::timestamptz - {each} * interval '1 minute',
       '2024-12-31T23:59:59Z', gen_random_uuid() FROM series WHERE symbol = '{symbol}';
INSERT INTO points (id, series_id, "timestamp", open, high, low, close, volume, base_volume,
                    value_hash, raw_time, raw_offset, normalizer_version, record_index, page_id)
SELECT point_id('candle', at, gen_random_uuid()), series_id, at, 100 + n % 7, 110 + n % 11, 90,
       100 + n % 13, 5, 5, n, n, n, 5, 0, '00000000-0000-0000-0000-000000000000'
FROM series CROSS JOIN generate_series(1, {each}) AS n
CROSS JOIN LATERAL (SELECT '2025-01-01Z'::timestamptz - n * interval '1 minute') AS t (at)
WHERE symbol = '{symbol}' AND n % 1000 <> 0;
"""


@dataclass(frozen=True)
class Question:
    """A request, GET but for those with a body."""

    name: str
    path: str
    body: Any = None

    def request(self) -> bytes:
        content = (
            b"" if self.body is None else json.dumps(self.body).encode()
        )
        method = "GET" if self.body is None else "POST"
        return (
            f"{method} /api/v1{self.path} HTTP/1.1\r\nHost: localhost\r\n"
            f"x-api-key: {KEY}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        ).encode() + content


def questions() -> list[Question]:
    """Usual ones first, then the worst that are answered."""
    coin = f"symbol={SYMBOL}"
    pairs = [
        [SYMBOL, f"2024-12-{1 + n % 30:02}T{n % 24:02}:{n % 60:02}:00Z"]
        for n in range(PAIRS)
    ]
    return [
        Question("500 hours", f"/ohlcv?{coin}&interval=1h&limit=500"),
        Question(
            "90 days in Berlin",
            f"/ohlcv?{coin}&interval=1d&limit=90&tz=Europe/Berlin",
        ),
        Question(
            "a price at a moment",
            f"/price?{coin}&at=2024-12-20T12:00:30Z",
        ),
        Question(
            f"prices at {PAIRS:,} moments", "/price", {"pairs": pairs}
        ),
        Question("the newest price", f"/latest?{coin}"),
        Question(
            "coverage of a month",
            f"/coverage?{coin}&from=2024-12-01&to=2025-01-01",
        ),
        Question(
            "agreement at 200 hours", f"/agreement?{coin}&limit=200"
        ),
        Question("100 series", "/series?limit=100"),
        Question(
            "instruments by name", "/instruments?q=bitcoin&limit=20"
        ),
        Question(
            "100 points, oldest first",
            f"/data?{coin}&order=asc&limit=100",
        ),
    ]


def worst() -> list[Question]:
    """As much as may be asked for at a time."""
    coin = f"symbol={SYMBOL}"
    return [
        Question(
            "5,000 bars of 6 hours",
            f"/ohlcv?{coin}&interval=6h&limit=5000",
        ),
        Question(
            "8,000 bars of two, as of now",
            f"/ohlcv?{coin}&dataset=all&interval=4h&limit=4000&as_of=2100-01-01",
        ),
        Question(
            "coverage of two million",
            f"/coverage?{coin}&limit=1&from=2021-06-01",
        ),
        Question(
            "agreement at 5,000 hours", f"/agreement?{coin}&limit=5000"
        ),
        Question(
            "all of a symbol counted", f"/data?{coin}&limit=1&count=true"
        ),
        Question("deep skip", f"/data?{coin}&limit=1&skip=1000000"),
        Question(
            "10,000 prices by the data of then",
            "/price",
            {
                "as_of": "2100-01-01T00:00:00Z",
                "pairs": [
                    [SYMBOL, f"2024-{1 + n % 12:02}-{1 + n % 28:02}"]
                    for n in range(5_000)
                ],
            },
        ),
    ]


def fill(stack: Stack, rows: int = ROWS) -> None:
    """So many candles, by SQL."""
    for statement in _FILL.format(
        each=rows // DATASETS, symbol=SYMBOL, datasets=DATASETS
    ).split(";\nINSERT"):
        begin = "" if statement.startswith("\nDO") else "INSERT"
        stack.execute(begin + statement)
    stack.execute("ANALYZE points, series")


class Recording(Database):
    """A database that keeps what it is asked."""

    def __init__(self, settings: GatewaySettings) -> None:
        super().__init__(settings)
        self.asked: list[tuple[str, list[Any]]] = []

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        self.asked.append((query, list(arguments)))
        return await super().rows(query, *arguments)


async def statements(
    dsn: str, question: Question
) -> list[tuple[str, list[Any]]]:
    """What a gateway asks PostgreSQL to answer a question for the first time."""
    settings = GatewaySettings(
        _env_file=None,
        database_url=dsn,
        api_key=KEY,
        mode="native",
        access_log=False,
    )
    app = create_app(settings, Health(None))
    database = Recording(settings)
    await database.start()
    visible = Visible(database)
    app.state.primary = Side(
        dsn,
        database,
        database,
        data.kept_answers(database, visible),
        ohlcv.kept_answers(database, visible),
    )
    app.state.replica = None
    checkpoints = SimpleNamespace(get=lambda _: None)
    app.state.bus = SimpleNamespace(checkpoints=checkpoints)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway/api/v1"
    ) as client:
        answer = await client.request(
            "GET" if question.body is None else "POST",
            question.path,
            json=question.body,
            headers={"x-api-key": KEY},
        )
    await database.close()
    if answer.status_code != 200:
        raise SystemExit(f"{question.path}: {answer.text[:200]}")
    return [
        each
        for each in database.asked
        if "pg_current_snapshot" not in each[0]
    ]


def measure(stack: Stack) -> list[dict[str, Any]]:
    """One row a question: what the gateway answers a second, and what its SQL alone does."""
    return [_measured(stack, each) for each in questions()]


def _measured(stack: Stack, question: Question) -> dict[str, Any]:
    dsn = stack.settings.dsn()
    port = stack.settings.api_port
    kept, p99_ms = uvloop.run(api.load(port, question.request()))
    with api.writing(dsn):
        anew, _ = uvloop.run(api.load(port, question.request()))
    found = uvloop.run(statements(dsn, question))
    limit = api.pgbench([api.filled(*each) for each in found], dsn)
    return {
        "question": question.name,
        "path": question.path,
        "requests_per_s": round(kept, 1),
        "p99_ms": round(p99_ms, 1),
        "anew_per_s": round(anew, 1),
        "sql_per_s": round(limit, 1),
        "ratio": round(kept / limit, 2),
    }


def lines(found: list[dict[str, Any]]) -> Iterator[str]:
    for each in found:
        yield (
            f"  {each['question']:<26} {each['requests_per_s']:>7}/s   p99 {each['p99_ms']:>7} ms  "
            f" {each['anew_per_s']:>7}/s while data are written   its SQL by pgbench:"
            f" {each['sql_per_s']:>8}/s   ratio {each['ratio']}"
        )


# -- the worst cases ------------------------------------------------------------------------------


def plans(stack: Stack) -> Iterator[str]:
    """How long each statement of the worst cases takes, and what it reads whole."""
    dsn = stack.settings.dsn()
    for question in worst():
        took, whole = 0.0, set()
        for query, arguments in uvloop.run(statements(dsn, question)):
            plan = _explained(dsn, api.filled(query, arguments))
            took += plan["Execution Time"] + plan["Planning Time"]
            whole |= set(_read_whole(plan["Plan"]))
        yield (
            f"  {question.name:<36} {took:>9.1f} ms of {WORST_MS:,}"
            f"   read whole: {', '.join(sorted(whole)) or 'nothing'}"
        )


def _explained(dsn: str, query: str) -> dict[str, Any]:
    connection = psycopg2.connect(
        dsn, options="-c enable_seqscan=off -c timezone=UTC"
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}"
            )
            ((found,),) = cursor.fetchall()
    finally:
        connection.close()
    plan: dict[str, Any] = found[0]
    return plan


def _read_whole(plan: dict[str, Any]) -> Iterator[str]:
    """Large tables that are read from begin to end."""
    if plan["Node Type"] == "Seq Scan" and plan["Actual Rows"] > 10_000:
        yield plan["Relation Name"]
    for child in plan.get("Plans", ()):
        yield from _read_whole(child)


@contextmanager
def a_stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        prepare(root)
        with running(
            root / "state", root / "csv", POSTGRES_SHARED_BUFFERS=""
        ) as stack:
            yield stack


def main() -> int:
    rows = int(os.environ.get("ROWS") or ROWS)
    with a_stack() as stack:
        began = time.monotonic()
        fill(stack, rows)
        sys.stdout.write(
            f"{rows:,} candles in {time.monotonic() - began:.0f} s\n"
        )
        for line in plans(stack):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        sys.stdout.write(f"{events.line(events.measure(stack))}\n")
        for line in lines(measure(stack)):
            sys.stdout.write(f"{line}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
