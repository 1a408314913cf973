"""`make demo`: a first ingestion from beginning to end.

The stack if it is not up, a run followed with a bar, then the first rows and the run's figures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from embedded import commands, stack
from embedded.console import Console
from embedded.errors import StackError
from embedded.settings import StackSettings
from shared.csvfile.overrides import SAMPLE
from shared.messages.base import Source
from shared.messages.runs import RunStatus

API_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 300.0
MAX_TITLE = 70
SUCCESS = (RunStatus.SUCCEEDED, RunStatus.PARTIAL)
FIGURES = (
    "items_processed",
    "inserted",
    "updated",
    "unchanged",
    "skipped",
    "rejected",
)
Json = dict[str, Any]


def demo(console: Console, arguments: list[str]) -> int:
    """0 when the run has succeeded, also with rejections."""
    settings = stack.check_settings()
    if settings.mode == "docker":
        if commands.up(console, arguments):
            raise StackError("docker compose did not come up: see above")
    elif stack.up(settings, console):
        console.print("  all ready")
    base = f"http://127.0.0.1:{settings.api_port}/api/v1"
    headers = {"x-api-key": settings.api_key.get_secret_value()}
    try:
        with httpx.Client(
            base_url=base, headers=headers, timeout=20, trust_env=False
        ) as api:
            _wait_for_api(api)
            return _ingest(console, settings, api)
    except httpx.HTTPError as error:
        raise StackError(
            f"the API at {base} does not answer ({error}): see `make status` and "
            "`make logs S=gateway`"
        ) from error


def _wait_for_api(api: httpx.Client) -> None:
    """Under compose the API may come a little after `up` returns."""
    until = time.monotonic() + API_TIMEOUT_S
    while time.monotonic() < until:
        try:
            if api.get("/health/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)


def _ingest(
    console: Console, settings: StackSettings, api: httpx.Client
) -> int:
    answer = api.post("/ingest")
    if answer.status_code != 202:
        detail = answer.json().get("detail")
        raise StackError(
            f"POST /ingest answered {answer.status_code}: {detail}"
        )
    run = _follow(console, api, answer.json()["run_id"])
    console.print()
    _print_errors(console, run)
    _print_rejections(console, run)
    _print_points(console, api)
    _print_figures(console, run)
    commands.print_addresses(settings, console)
    return 0 if run["status"] in SUCCESS else 1


def _follow(console: Console, api: httpx.Client, run_id: str) -> Json:
    """Wait for the run's end, with a bar of its tasks."""
    columns = (
        TextColumn("  ingesting {task.completed}/{task.total} streams"),
        BarColumn(),
        TextColumn("{task.fields[records]} records"),
        TimeElapsedColumn(),
    )
    until = time.monotonic() + RUN_TIMEOUT_S
    is_hidden = not console.rich.is_terminal
    with Progress(
        *columns, console=console.rich, disable=is_hidden
    ) as bars:
        bar = bars.add_task("", total=None, records=0)
        while time.monotonic() < until:
            run: Json = _run(api, run_id)
            tasks = run["tasks"]
            done = sum(task["finished_at"] is not None for task in tasks)
            bars.update(
                bar,
                total=len(tasks) or None,
                completed=done,
                records=run["records"],
            )
            if RunStatus(run["status"]).is_settled:
                return run
            time.sleep(0.3)
    raise StackError(
        f"the run {run_id} has not ended after {RUN_TIMEOUT_S:.0f} s: see `make logs`"
    )


def _run(api: httpx.Client, run_id: str) -> Json:
    answer = api.get(f"/runs/{run_id}")
    run: Json = answer.json()
    if not answer.is_success:
        raise StackError(f"GET {answer.url}: {run.get('detail')}")
    return run


def _print_errors(console: Console, run: Json) -> None:
    if not run["errors"]:
        return
    console.print("Not everything could be ingested; the rest is there:")
    for error in run["errors"]:
        where = error.get("stream") or error.get("source") or "-"
        console.print(f"  {where}: {error['message']}")
    console.print()


def _print_rejections(console: Console, run: Json) -> None:
    for rejection in run["rejections"]:
        rejected = f"{rejection['count']} record(s) rejected"
        reason = f"({rejection['reason']}): {rejection['example']}"
        console.print(f"  {_where(rejection)}: {rejected} {reason}")


def _where(rejection: Json) -> str:
    """The stream, and the line where it is a file."""
    line = rejection["example_line"]
    stream: str = rejection["stream"]
    return f"{stream} line {line}" if line else stream


def _print_points(console: Console, api: httpx.Client) -> None:
    points = list(_newest_of_each(api))
    if not points:
        return
    console.print("The newest data point of each source:")
    for point in points:
        time_ = point["timestamp"][:19]
        symbol = point["symbol"] or ""
        console.print(
            f"  {time_}  {point['source']:<12} {point['kind']:<7} {symbol:<6} {_value(point)}"
        )
    if any(point["dataset"] == SAMPLE for point in points):
        console.print(
            f"  (csv: {SAMPLE}, made-up data, not real prices; it is read no more once CSV_DIR "
            "holds a file of yours)"
        )
    console.print()


def _newest_of_each(api: httpx.Client) -> Iterator[Json]:
    for source in Source:
        params: dict[str, str | int] = {"source": source, "limit": 1}
        yield from api.get("/data", params=params).json()


def _value(point: Json) -> str:
    """The price, or the title of news."""
    price = point["close"] if point["price"] is None else point["price"]
    if price is not None:
        return f"{float(price):.6g} {point['currency'] or ''}"
    title: str = point["title"] or ""
    return title[:MAX_TITLE]


def _print_figures(console: Console, run: Json) -> None:
    line = f"run {run['run_id']}: {run['status']} in {run['duration_seconds']:.1f} s"
    if run["message"]:
        line += f", {run['message']}"
    console.print(line)
    for source, counts in run["sources"].items():
        shown = [
            name
            for name in FIGURES
            if counts[name] or name == "items_processed"
        ]
        figures = ", ".join(
            f"{counts[name]} {name.replace('_', ' ')}" for name in shown
        )
        console.print(f"  {source:<12} {figures}")
