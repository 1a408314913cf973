"""`make bench`.

Figures on the screen, JSON and a picture in bench/results, and a last line of JSON for programs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import (
    api,
    confined,
    data,
    events,
    goals,
    latency,
    pipeline,
    plot,
    questions,
    replay,
    timeline,
    yardstick,
)
from bench.usage import MEMORY_LIMIT_MB, SERVICES, Usage
from tests.support.stack import Stack, running

TIMES = 10


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        csv_dir = Path(folder) / "csv"
        path, rows, symbol = data.prepare(csv_dir)
        with running(
            Path(folder) / "state",
            csv_dir,
            KAFKA_HEAP="512m",
            POSTGRES_SHARED_BUFFERS="",
            KAFKA_SESSION_TIMEOUT_MS="10000",
        ) as stack:
            details = _measure(stack, path, rows, symbol)
    first = details["reads"][0]
    last = {
        "pipeline": details["pipeline"],
        "api": {
            name: first[name]
            for name in (
                "requests_per_s",
                "limit_requests_per_s",
                "ratio",
            )
        },
    }
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    (results / f"{name}.json").write_text(
        json.dumps({**last, **details}, indent=1)
    )
    plot.draw(details, results / f"{name}.png")
    _say("goals:")
    for line in goals.lines(details):
        _say(line)
    _say(f"details: bench/results/{name}.json, {name}.png")
    _say(json.dumps(last))
    return 0


def _measure(
    stack: Stack, path: Path, rows: int, symbol: str
) -> dict[str, Any]:
    _say(f"pipeline: {rows} rows from POST to the run's end …")
    whole, usage = pipeline.measure_pipeline(stack, rows)
    limit = yardstick.measure_write(stack)
    today = pipeline.measure_today(stack)
    ratio = _ratio(whole, limit)
    _say(
        f"  {whole['records_per_s']:>8} records/s   COPY + upsert alone, tables of 0.1.0:"
        f" {limit['records_per_s']} records/s   ratio {ratio}"
    )
    _say(
        f"{'':>21}   today's tables: {today['records_per_s']} records/s"
        f"   ratio {_ratio(whole, today)}"
    )
    for name, seconds in usage.cpu_s.items():
        _say(
            f"  {name:<11} {seconds / rows * 1e6:6.1f} µs of CPU a record   {_memory(name, usage)}"
        )
    sizes = timeline.bytes_a_record(stack, rows)
    _say(
        f"  {whole['idle_share']:.0%} of the processors idle; bytes of a record in a raw page"
        f" {sizes['raw']}, in a unified page, which holds the raw one, {sizes['unified']}"
    )
    if os.environ.get("TIMELINE"):
        _say("when each stage had what:")
        found = timeline.of_run(stack, whole["run_id"], whole["began"])
        _say("\n".join(timeline.shown(found)))
    confined_costs = _confined(path)
    reads = _reads(stack, symbol)
    first_row = latency.measure(stack)
    _say("from POST to the first row visible:")
    _say(
        f"  {first_row['first_row_ms']:>8} ms   a round trip through Kafka"
        f" {first_row['kafka_round_trip_ms']} ms   ratio {first_row['round_trips']}"
    )
    first_of_large = latency.measure_large(stack)
    _say(f"  {first_of_large:>8} s to the first row of a file of 1 GB")
    _say("replay of those rows:")
    again = replay.measure(
        stack, whole["run_id"], rows, whole["records_per_s"]
    )
    origins = {
        "topic": "the topic",
        "archive": "the archive",
        "preview": "the topic, as a preview",
    }
    for name, origin in origins.items():
        found = again[name]
        _say(
            f"  {found['records_per_s']:>8} records/s from {origin}"
            f"   ratio to ingesting {found['ratio']}"
        )
    _say(
        f"  {again['live_during_s']:>8} s for a small run meanwhile, {again['live_alone_s']} s"
        f" alone   ratio {again['live_ratio']}"
    )
    _say(f"pipeline: {TIMES} times the rows …")
    data.copies(path, TIMES)
    more, more_usage = pipeline.measure_pipeline(
        stack,
        rows * TIMES,
        [f"csv/copy{n}/{path.name}" for n in range(TIMES)],
    )
    growth = round(more["seconds"] / whole["seconds"], 1)
    _say(
        f"  {more['records_per_s']:>8} records/s   time grew {growth} times"
    )
    for name in SERVICES:
        _say(
            f"  {name:<11} {_memory(name, more_usage)}  "
            f" {more_usage.peak_mb[name] - usage.peak_mb[name]:+.0f} MB"
        )
    live = events.measure(stack)
    _say(events.line(live))
    asked = _questions(stack)
    return {
        "pipeline": {
            "records_per_s": whole["records_per_s"],
            "limit_records_per_s": limit["records_per_s"],
            "ratio": ratio,
            "today_records_per_s": today["records_per_s"],
            "today_ratio": _ratio(whole, today),
        },
        "whole": whole,
        "cpu_s": usage.cpu_s,
        "peak_mb": usage.peak_mb,
        "confined": confined_costs,
        "reads": reads,
        "questions": asked,
        "events": live,
        "first_row": first_row,
        "first_row_1gb_s": first_of_large,
        "bytes_a_record": sizes,
        "replay": again,
        "whole_10x": {**more, "time_growth": growth},
        "cpu_s_10x": more_usage.cpu_s,
        "peak_mb_10x": more_usage.peak_mb,
    }


def _ratio(found: dict[str, Any], limit: dict[str, Any]) -> float:
    return round(
        float(found["records_per_s"] / limit["records_per_s"]), 2
    )


def _memory(name: str, usage: Usage) -> str:
    peak = usage.peak_mb.get(name, 0.0)
    return f"{peak:6.0f} MB at most" + (
        f" (more than {MEMORY_LIMIT_MB})"
        if name in SERVICES and peak > MEMORY_LIMIT_MB
        else ""
    )


def _confined(path: Path) -> dict[str, dict[str, float]]:
    _say("reading in a child process, beside in the service:")
    found = confined.measure(path)
    for name, cost in found.items():
        _say(
            f"  {cost['in_child_ms']:>8} ms for {name}, {cost['in_service_ms']} ms in the service"
            f"   ratio {cost['ratio']}"
        )
    return found


def _reads(stack: Stack, symbol: str) -> list[dict[str, Any]]:
    _say(f"API: {api.CONNECTIONS} connections …")
    stack.execute("ANALYZE points, series")
    reads = api.measure(stack, symbol)
    for read in reads:
        _say(
            f"  {read['read']:<32} {read['requests_per_s']:>6}/s   p99 {read['p99_ms']:>6} ms  "
            f" {read['anew_per_s']:>5}/s while data are written   pgbench, tables of 0.1.0:"
            f" {read['limit_requests_per_s']:>6}/s"
            f"   ratio {read['ratio']}   today's: {read['today_ratio']}"
        )
    return reads


def _questions(stack: Stack) -> list[dict[str, Any]]:
    _say(f"questions, with {questions.ROWS:,} candles more:")
    questions.fill(stack)
    found = questions.measure(stack)
    for line in questions.lines(found):
        _say(line)
    return found


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
