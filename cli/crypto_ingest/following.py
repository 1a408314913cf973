"""A run watched to its end."""

from __future__ import annotations

import time
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn

from crypto_ingest.client import Api
from crypto_ingest.errors import FAILED, INTERRUPTED, CommandError
from crypto_ingest.output import console, errors, plain, span, table

EVERY_S = 0.5
OPEN = ("queued", "running")
GOOD = ("succeeded", "partial")
FIGURES = (
    "records",
    "inserted",
    "updated",
    "unchanged",
    "skipped",
    "rejected",
)
Run = dict[str, Any]


def watch(api: Api, run_id: str, *, quiet: bool = False) -> Run:
    """The run as it ended. Ctrl-C leaves it going, and says how to come back."""
    try:
        return _watched(api, run_id, quiet=quiet)
    except KeyboardInterrupt:
        raise CommandError(
            f"the run goes on; come back with `crypto-ingest runs watch {run_id}`, or end it with "
            f"`crypto-ingest runs cancel {run_id}`",
            INTERRUPTED,
        ) from None


def _watched(api: Api, run_id: str, *, quiet: bool) -> Run:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(
        *columns,
        console=errors,
        disable=quiet or not errors.is_terminal,
        transient=True,
    ) as bars:
        shown: dict[str, Any] = {}
        while True:
            run: Run = api.get(f"/runs/{run_id}")
            for task in run["tasks"]:
                _show(bars, shown, task)
            if run["status"] not in OPEN:
                return run
            time.sleep(EVERY_S)


def _show(bars: Progress, shown: dict[str, Any], task: Run) -> None:
    stream = task["stream"]
    if stream not in shown:
        shown[stream] = bars.add_task(plain(stream), total=None, told="")
    rows = (task.get("profile") or {}).get("rows")
    done = task["records"]
    is_over = task["finished_at"] is not None
    bars.update(
        shown[stream],
        total=done or 1 if is_over else rows,
        completed=done or 1 if is_over else done,
        told=_told(task, rows),
    )


def _told(task: Run, rows: int | None) -> str:
    """How far a task is, and how long it will take still."""
    records = task["records"]
    if task["finished_at"] is not None:
        return f"{records:,} records"
    left = ""
    if rows and records and task["started_at"]:
        seconds = time.time() - _seconds(task["started_at"])
        rest = seconds / records * max(0, rows - records)
        left = f", {span(rest)} left"
    return f"{records:,} records{left}"


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def told(run: Run) -> None:
    """A run for people: its figures, what failed, what was refused."""
    took = run.get("duration_seconds")
    seconds = f" in {took:.1f} s" if took is not None else ""
    console.print(f"run {run['run_id']}: {run['status']}{seconds}")
    rows = [
        (name, *(figures[each] for each in FIGURES))
        for name, figures in run["sources"].items()
    ]
    table(
        ("source", *(f">{each}" for each in FIGURES)),
        rows,
        "nothing was new",
    )
    for error in run["errors"]:
        where = error.get("stream") or error.get("source") or "-"
        console.print(
            f"[red]{plain(where)}[/]: {plain(error['message'])}"
        )
    for each in run.get("rejections") or ():
        console.print(
            f"[yellow]{each['count']:,} refused[/] ({plain(each['reason'])}): "
            f"{plain(each['example'])}"
        )
    for note in run.get("notes") or ():
        console.print(plain(f"note: {note}"))
    if run.get("message"):
        console.print(plain(run["message"]))


def check(run: Run) -> None:
    """Raises CommandError for a run that has not done what it was for."""
    if run["status"] not in GOOD:
        raise CommandError(
            f"the run {run['run_id']} is {run['status']}", FAILED
        )
