"""`make demo`: the stack if it is not up, a first ingestion followed with a bar, then the first rows and the run's figures."""

from __future__ import annotations

import time
from typing import Any

import httpx
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from embedded import commands, stack
from embedded.console import Console
from embedded.errors import StackError
from embedded.settings import StackSettings
from shared.messages.runs import RunStatus

GIVE_UP_AFTER_S = 300.0
Json = dict[str, Any]


def demo(console: Console, arguments: list[str]) -> int:
    settings = stack.check_settings()
    if settings.mode == "docker":
        if commands.up(console, arguments):
            raise StackError("docker compose did not come up: see above")
    elif stack.up(settings, console):
        console.say("  all ready")
    base, headers = f"http://127.0.0.1:{settings.api_port}/api/v1", {"x-api-key": settings.api_key.get_secret_value()}
    try:
        with httpx.Client(base_url=base, headers=headers, timeout=20, trust_env=False) as api:
            _wait_for_api(api)
            return _show(console, settings, api)
    except httpx.HTTPError as error:
        raise StackError(f"the API at {base} does not answer ({error}): look at `make status` and `make logs S=gateway`") from error


def _wait_for_api(api: httpx.Client) -> None:
    """Under compose the API may come a little after `up` returns."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            if api.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)


def _show(console: Console, settings: StackSettings, api: httpx.Client) -> int:
    answer = api.post("/ingest")
    if answer.status_code != 202:
        raise StackError(f"POST /ingest answered {answer.status_code}: {answer.json().get('detail')}")
    run = _follow(console, api, answer.json()["run_id"])
    console.say()
    _say_what_failed(console, run)
    _say_rows(console, api)
    _say_figures(console, run)
    commands.say_where(settings, console)
    return 0 if run["status"] in (RunStatus.SUCCEEDED, RunStatus.PARTIAL) else 1


def _follow(console: Console, api: httpx.Client, run_id: str) -> Json:
    """Wait for the run's end, with a bar of its tasks."""
    run: Json = api.get(f"/runs/{run_id}").json()
    until = time.monotonic() + GIVE_UP_AFTER_S
    columns = (
        TextColumn("  ingesting {task.completed}/{task.total} streams"),
        BarColumn(),
        TextColumn("{task.fields[records]} records"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console.rich, disable=not console.rich.is_terminal) as bars:
        bar = bars.add_task("", total=None, records=0)
        while not RunStatus(run["status"]).is_settled and time.monotonic() < until:
            time.sleep(0.3)
            run = api.get(f"/runs/{run_id}").json()
            done = sum(task["finished_at"] is not None for task in run["tasks"])
            bars.update(bar, total=len(run["tasks"]) or None, completed=done, records=run["records"])
    if not RunStatus(run["status"]).is_settled:
        raise StackError(f"the run {run_id} has not ended after {GIVE_UP_AFTER_S:.0f} s: look at `make logs`")
    return run


def _say_what_failed(console: Console, run: Json) -> None:
    if run["errors"]:
        console.say("Not everything could be ingested; the rest is there:")
        for error in run["errors"]:
            console.say(f"  {error.get('stream') or error.get('source') or '-'}: {error['message']}")
        console.say()
    for rejection in run["rejections"]:
        line = f" line {rejection['example_line']}" if rejection["example_line"] else ""
        console.say(
            f"  {rejection['stream']}{line}: {rejection['count']} record(s) rejected ({rejection['reason']}): {rejection['example']}"
        )


def _say_rows(console: Console, api: httpx.Client) -> None:
    console.say("The newest data points:")
    for point in api.get("/data", params={"limit": 5}).json():
        value = next(
            (f"{point[name]} {point['currency'] or ''}" for name in ("price", "close") if point[name] is not None),
            (point["title"] or "")[:70],
        )
        console.say(f"  {point['timestamp'][:19]}  {point['source']:<12} {point['kind']:<7} {point['symbol'] or '':<6} {value}")
    console.say()


def _say_figures(console: Console, run: Json) -> None:
    console.say(
        f"run {run['run_id']}: {run['status']} in {run['duration_seconds']:.1f} s" + (f", {run['message']}" if run["message"] else "")
    )
    names = ("items_processed", "inserted", "updated", "unchanged", "skipped", "rejected")
    for source, counts in run["sources"].items():
        console.say(
            f"  {source:<12} "
            + ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in names if counts[name] or name == "items_processed")
        )
