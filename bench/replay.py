"""Replaying against ingesting the same records, previewing against applying.

And a live run during a replay against one alone.
"""

from __future__ import annotations

import time
from typing import Any

from tests.support.stack import Stack

ROWS = [
    "date,open,high,low,close",
    *(f"2024-01-{day:02},1,2,0.5,1.5" for day in range(1, 29)),
]


def measure(
    stack: Stack, run_id: str, records: int, ingest_per_s: float
) -> dict[str, Any]:
    """Records per second of each kind of replay of a run, as a part of what ingesting took.

    Seconds of a small live run.
    """
    found: dict[str, Any] = {}
    for name, body in (
        ("topic", {"origin": "topic"}),
        ("archive", {"origin": "archive"}),
        ("preview", {"origin": "topic", "mode": "preview"}),
    ):
        per_s = _replayed(stack, records, run_id=run_id, **body)
        found[name] = {
            "records_per_s": round(per_s),
            "ratio": round(per_s / ingest_per_s, 2),
        }
    found["preview_overhead"] = round(
        found["topic"]["records_per_s"]
        / found["preview"]["records_per_s"],
        2,
    )
    alone = _live(stack, "alone")
    replay = _start(stack, run_id=run_id, origin="archive")
    stack.wait_for_records(replay, 1_000)
    during = _live(stack, "during")
    state = stack.run_state(replay)
    if state["status"] not in ("running", "queued"):
        raise SystemExit(
            f"the replay was over ({state['status']}) before the live run was"
        )
    stack.wait_for(replay, 1800)
    return {
        **found,
        "live_alone_s": alone,
        "live_during_s": during,
        "live_ratio": round(during / alone, 2),
    }


def _start(stack: Stack, **body: Any) -> str:
    answer = stack.api.post("/replay", json=body)
    if answer.status_code != 202:
        raise SystemExit(f"the replay was refused: {answer.text}")
    return str(answer.json()["run_id"])


def _replayed(stack: Stack, records: int, **body: Any) -> float:
    started = time.monotonic()
    run = stack.wait_for(_start(stack, **body), 1800)
    if run["status"] != "succeeded" or run["unchanged"] != records:
        raise SystemExit(
            f"the replay did not end as it must: {run['status']}, {run['unchanged']} of"
            f" {records} unchanged"
        )
    return records / (time.monotonic() - started)


def _live(stack: Stack, name: str) -> float:
    path = stack.csv_dir / f"live-{name}" / "eth-usd.csv"
    path.parent.mkdir()
    path.write_text("\n".join(ROWS) + "\n")
    started = time.monotonic()
    run = stack.wait_for(
        stack.start_run(
            sources=["csv"], streams=[f"csv/live-{name}/eth-usd.csv"]
        ),
        600,
    )
    if run["inserted"] != len(ROWS) - 1:
        raise SystemExit(
            f"the live run did not end as it must: {run['status']}"
        )
    return round(time.monotonic() - started, 2)
