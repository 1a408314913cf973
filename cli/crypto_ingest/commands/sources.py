"""`sources`, `services`, `upload`: where data come from, and who moves them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crypto_ingest.client import Api
from crypto_ingest.commands.ingest import finish
from crypto_ingest.errors import WRONG_USE, CommandError
from crypto_ingest.options import AsJson, Wait, api_of
from crypto_ingest.output import (
    ago,
    as_json,
    console,
    moment,
    plain,
    table,
)

PART = 8 << 20  # bytes of a request


def sources(context: typer.Context, json: AsJson = False) -> None:
    """Each with its streams, what fails, and its budget."""
    found = api_of(context).get("/sources")
    if json:
        as_json(found)
        return
    rows = []
    for each in found:
        budget = each["budget"] or {}
        calls = ""
        if budget:
            most = budget["per_month"]
            calls = f"{budget['used']:,}" + (
                f" of {most:,}" if most else ""
            )
        rows.append(
            (
                each["name"],
                each["streams"],
                ago(each["last_success_at"]),
                each["failing_streams"],
                calls,
            )
        )
    table(
        ("source", ">streams", "last success", ">failing", "calls"),
        rows,
        "",
    )
    for each in found:
        for failing in each["failing"]:
            console.print(
                f"[red]{plain(failing['stream'])}[/] since {moment(failing['failed_at'])}: "
                f"{plain(failing['message'])}"
            )


def services(context: typer.Context, json: AsJson = False) -> None:
    """Each process, as it told of itself last."""
    found = api_of(context).get("/services")
    if json:
        as_json(found)
        return
    table(
        (
            "service",
            "instance",
            "state",
            ">records/s",
            ">waiting",
            ">MB",
            "version",
            "heard of",
        ),
        (
            (
                each["service"],
                each["instance"],
                "ready" if each["ready"] else each["reason"],
                round(each["records_per_second"]),
                each["waiting"],
                each["memory_bytes"] // 1_000_000,
                each["version"],
                f"{ago(each['seen_at'])} ago",
            )
            for each in found
        ),
        "no service has told of itself: wait some seconds",
    )


def upload(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    to: Annotated[
        str | None,
        typer.Option(help="Its path below CSV_DIR; else uploads/NAME."),
    ] = None,
    replace: Annotated[
        bool, typer.Option(help="A file that is there.")
    ] = False,
    ingest: Annotated[
        bool, typer.Option("--ingest/--no-ingest", help="Read it then.")
    ] = True,
    wait: Wait = True,
    json: AsJson = False,
) -> None:
    """Put a CSV file where it is read, say what it is taken for, and read it."""
    api = api_of(context)
    path = to or f"uploads/{file.name}"
    sent = _send(api, file, path, replace=replace)
    found = api.get("/sources/csv/inspect", path=path)
    refused = found["refused"]
    if refused:
        raise CommandError(
            f"{path} is there, but cannot be read: {refused['message']}",
            WRONG_USE,
        )
    if not ingest:
        as_json(found) if json else console.print(
            f"{path}: {sent:,} bytes"
        )
        return
    accepted = api.post("/ingest", {"streams": [found["stream"]]})
    finish(api, accepted, wait=wait, json=json)


def _send(api: Api, file: Path, path: str, *, replace: bool) -> int:
    """In parts, so that a connection that breaks costs no more than one. Returns its bytes."""
    size = file.stat().st_size
    if not size:
        raise CommandError(f"{file} is empty", WRONG_USE)
    with file.open("rb") as source:
        at = 0
        while at < size:
            piece = source.read(PART)
            if not piece:
                raise CommandError(
                    f"{file} became shorter while it was sent", WRONG_USE
                )
            end = at + len(piece)
            api.send(
                "PUT",
                f"/files/csv/{path}",
                content=piece,
                params={"replace": "true"} if replace else {},
                headers={
                    "content-range": f"bytes {at}-{end - 1}/{size}",
                    "content-type": "text/csv",
                },
            )
            at = end
    return size
