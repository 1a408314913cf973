"""`schedule`: when what is ingested."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from crypto_ingest.options import AsJson, Yes, api_of, check
from crypto_ingest.output import as_json, console, moment, plain, table

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Of the schedule.")]


@app.command("list")
def list_schedules(context: typer.Context, json: AsJson = False) -> None:
    """When each is due next, and what became of it last."""
    found = api_of(context).get("/schedules")
    if json:
        as_json(found)
        return
    table(
        ("name", "when", "what", "next", "last run", "state"),
        (
            (
                each["name"],
                when(each),
                what(each),
                moment(each["next"][0]) if each["next"] else "never",
                (each["last_run"] or {}).get("status"),
                each["paused"] or "on",
            )
            for each in found
        ),
        "nothing is scheduled: `crypto-ingest schedule set hourly --every 3600` does it",
    )
    _warn(found[0]["forecast"] if found else None)


@app.command("set")
def set_schedule(
    context: typer.Context,
    name: Name,
    cron: Annotated[
        str | None,
        typer.Option(
            help='Such as "0 7 * * 1-5": minute hour day month weekday.'
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Of the cron, such as Europe/Berlin.")
    ] = "UTC",
    every: Annotated[
        int | None, typer.Option(help="In place of a cron: seconds.")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Else all; more than once.")
    ] = None,
    stream: Annotated[
        list[str] | None, typer.Option(help="More than once.")
    ] = None,
    history_days: Annotated[
        int | None,
        typer.Option(help="The days before, not what is current."),
    ] = None,
    missed: Annotated[
        str, typer.Option(help="once or skip: of times that were missed.")
    ] = "once",
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    json: AsJson = False,
) -> None:
    """Ingest by a schedule, or change one."""
    body: dict[str, Any] = {
        "cron": cron,
        "timezone": timezone,
        "every_s": every,
        "sources": source or None,
        "streams": stream or None,
        "history_days": history_days,
        "missed": missed,
        "note": note,
    }
    found = api_of(context).put(f"/schedules/{name}", body)
    if json:
        as_json(found)
        return
    shown = ", ".join(moment(each) for each in found["next"])
    console.print(plain(f"{name}: {when(found)}; next {shown} UTC"))
    _warn(found["forecast"])


@app.command("remove")
def remove(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Ingest by it no more."""
    if not yes:
        check(f"Remove the schedule {name}?")
    api_of(context).send("DELETE", f"/schedules/{name}")
    console.print(plain(f"removed: {name}"))


def when(schedule: Any) -> str:
    if schedule["every_s"] is not None:
        return f"every {schedule['every_s']:,} s"
    return f"{schedule['cron']} {schedule['timezone']}"


def what(schedule: Any) -> str:
    asked = schedule["streams"] or schedule["sources"] or ["everything"]
    days = schedule["history_days"]
    history = f", {days} days of history" if days else ""
    return (
        ", ".join(asked[:3]) + ("…" if len(asked) > 3 else "") + history
    )


def _warn(forecast: Any) -> None:
    if forecast and forecast["warning"]:
        console.print(f"[yellow]![/] {plain(forecast['warning'])}")
