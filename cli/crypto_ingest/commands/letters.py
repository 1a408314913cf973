"""`dead-letters`: what could not be processed, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

import typer

from crypto_ingest.client import given
from crypto_ingest.commands.ingest import finish
from crypto_ingest.errors import WRONG_USE, CommandError
from crypto_ingest.options import (
    AsJson,
    Limit,
    Source,
    Wait,
    Yes,
    api_of,
    check,
)
from crypto_ingest.output import as_json, console, moment, plain, table

app = typer.Typer(no_args_is_help=True)
Reason = Annotated[
    str | None, typer.Option(help="Such as invalid_number.")
]
Stream = Annotated[str | None, typer.Option()]
Run = Annotated[str | None, typer.Option(help="That met them.")]
Ids = Annotated[
    list[str] | None, typer.Argument(help="Or options that choose some.")
]
Every = Annotated[bool, typer.Option("--all", help="Every open one.")]


@app.command("list")
def list_letters(
    context: typer.Context,
    status: Annotated[
        str, typer.Option(help="open, requeued or discarded.")
    ] = "open",
    source: Source = None,
    stream: Stream = None,
    reason: Reason = None,
    run: Run = None,
    limit: Limit = 50,
    json: AsJson = False,
) -> None:
    """The newest first, then how many of each reason."""
    rows = list(
        api_of(context).pages(
            "/dead-letters",
            limit,
            status=status,
            source=source,
            stream=stream,
            reason=reason,
            run_id=run,
        )
    )
    if json:
        as_json(rows)
        return
    table(
        ("id", "stream", "reason", "field", ">count", "what"),
        (
            (
                row["id"],
                row["stream"] or row["topic"],
                row["reason"],
                row["field"],
                row["count"],
                row["message"],
            )
            for row in rows
        ),
        f"none is {status}",
    )
    reasons: Counter[str] = Counter()
    for row in rows:
        reasons[row["reason"]] += row["count"]
    for name, number in reasons.most_common():
        console.print(f"{number:,} {plain(name)}")


@app.command()
def show(
    context: typer.Context, letter: str, json: AsJson = False
) -> None:
    """With what came, as it came."""
    found = api_of(context).get(f"/dead-letters/{letter}")
    if json:
        as_json(found)
        return
    origin = found["origin"] or {}
    facts = {
        "what": found["message"],
        "reason": found["reason"],
        "field": found["field"],
        "stream": found["stream"],
        "line": origin.get("line"),
        "seen": f"{found['count']} time(s), last {moment(found['last_seen_at'])}",
        "run": found["run_id"],
        "note": found["note"],
    }
    table(
        ("", ""),
        ((name, value) for name, value in facts.items() if value),
        "",
    )
    console.print(plain(found["payload"] or ""))


@app.command()
def requeue(
    context: typer.Context,
    ids: Ids = None,
    source: Source = None,
    stream: Stream = None,
    reason: Reason = None,
    run: Run = None,
    every: Every = False,
    wait: Wait = True,
    json: AsJson = False,
) -> None:
    """Process them again, in a run of their own."""
    api = api_of(context)
    body = _chosen(ids, source, stream, reason, run, every=every)
    accepted = api.post("/dead-letters/requeue", body)
    finish(api, accepted, wait=wait, json=json)


@app.command()
def discard(
    context: typer.Context,
    ids: Ids = None,
    note: Annotated[str, typer.Option(help="Why.", prompt="Why")] = "",
    source: Source = None,
    stream: Stream = None,
    reason: Reason = None,
    run: Run = None,
    every: Every = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Close them, with a note that says why."""
    api = api_of(context)
    body = _chosen(ids, source, stream, reason, run, every=every)
    if not yes:
        check("They will not be loaded. Discard them?")
    answer = api.post("/dead-letters/discard", {**body, "note": note})
    if json:
        as_json(answer)
    else:
        console.print(plain(answer["note"]))


def _chosen(
    ids: list[str] | None,
    source: str | None,
    stream: str | None,
    reason: str | None,
    run: str | None,
    *,
    every: bool,
) -> dict[str, Any]:
    """Raises CommandError where nothing is chosen."""
    wanted = {
        "ids": ids or None,
        "source": source,
        "stream": stream,
        "reason": reason,
        "run_id": run,
        "all": True if every else None,
    }
    chosen = given(wanted)
    if not chosen:
        raise CommandError(
            "say which: ids, --source, --stream, --reason, --run, or --all",
            WRONG_USE,
        )
    return chosen
