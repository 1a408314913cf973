"""`webhooks`: who is told what happens."""

from __future__ import annotations

import json as json_
from typing import Annotated, Any

import typer

from crypto_ingest.errors import WRONG_USE, CommandError
from crypto_ingest.options import AsJson, Limit, Yes, api_of, check
from crypto_ingest.output import as_json, console, moment, plain, table

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Of the webhook.")]


@app.command("list")
def list_webhooks(context: typer.Context, json: AsJson = False) -> None:
    """Their addresses, and what they are told."""
    found = api_of(context).get("/webhooks")
    if json:
        as_json(found)
        return
    table(
        ("name", "address", "events", "conditions", "note"),
        (
            (
                each["name"],
                each["url"],
                ", ".join(each["events"]),
                "; ".join(map(_said, each["conditions"])),
                each["note"],
            )
            for each in found
        ),
        "nobody is told anything: `crypto-ingest webhooks set` does it",
    )


@app.command("set")
def set_webhook(
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Argument(help="Where it is told.")],
    event: Annotated[
        list[str] | None,
        typer.Option(help="run.ended, run.failed, stream.failed."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="As JSON, as the API's documentation has it."),
    ] = None,
    source: Annotated[list[str] | None, typer.Option()] = None,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Another secret.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Tell an address what happens; shows the secret of its signatures this once."""
    try:
        conditions = list(map(json_.loads, condition or []))
    except ValueError as error:
        raise CommandError(
            f"a condition is no JSON: {error}", WRONG_USE
        ) from error
    body = {
        "url": url,
        "events": event or [],
        "conditions": conditions,
        "sources": source or None,
        "note": note,
        "rotate": rotate,
    }
    found = api_of(context).put(f"/webhooks/{name}", body)
    if json:
        as_json(found)
        return
    console.print(plain(f"{name}: {found['secret']}"))


@app.command()
def test(context: typer.Context, name: Name) -> None:
    """Tell it something, to see that it arrives."""
    found = api_of(context).post(f"/webhooks/{name}/test")
    console.print(plain(f"sent: {found['id']}"))


@app.command()
def deliveries(
    context: typer.Context,
    name: Name,
    limit: Limit = 20,
    json: AsJson = False,
) -> None:
    """What it was told, and what came of it."""
    rows = api_of(context).pages(f"/webhooks/{name}/deliveries", limit)
    if json:
        as_json(list(rows))
        return
    table(
        ("at", "what", ">attempts", "answer", "state"),
        (
            (
                moment(each["created_at"]),
                each["type"],
                each["attempts"],
                each["status"] or each["error"],
                _state(each),
            )
            for each in rows
        ),
        "nothing was told yet",
    )


@app.command()
def remove(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Tell it no more."""
    if not yes:
        check(f"Tell {name} no more?")
    api_of(context).send("DELETE", f"/webhooks/{name}")
    console.print(plain(f"removed: {name}"))


def _state(each: Any) -> str:
    if each["delivered_at"]:
        return "arrived"
    return "given up" if each["given_up_at"] else "tried again"


def _said(condition: Any) -> str:
    rest = " ".join(
        str(value) for name, value in condition.items() if name != "type"
    )
    return f"{condition['type']} {rest}"
