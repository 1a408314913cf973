"""`keys`: who may use the API, beside API_KEY."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from crypto_ingest.options import AsJson, Yes, api_of, check
from crypto_ingest.output import as_json, console, moment, plain, table

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_keys(context: typer.Context, json: AsJson = False) -> None:
    """The newest first, also those that count no more."""
    found = api_of(context).get("/keys")
    if json:
        as_json(found)
        return
    table(
        ("id", "may", "note", "made", "ends", "used", "state"),
        (
            (
                each["key_id"],
                each["scope"],
                each["note"],
                moment(each["made_at"]),
                moment(each["expires_at"]),
                moment(each["last_used_at"]),
                "revoked" if each["revoked_at"] else "counts",
            )
            for each in found
        ),
        "there is API_KEY alone: `crypto-ingest keys make` makes one beside it",
    )


@app.command()
def make(
    context: typer.Context,
    scope: Annotated[str, typer.Argument(help="read, operate or admin.")],
    note: Annotated[str, typer.Option(help="Who has it, for what.")],
    days: Annotated[
        int | None, typer.Option(help="After which it ends.")
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option(help="Requests, of each gateway."),
    ] = None,
    replaces: Annotated[
        str | None,
        typer.Option(help="The id of a key to be revoked then."),
    ] = None,
    json: AsJson = False,
) -> None:
    """A key, which is shown this once."""
    body: dict[str, Any] = {"scope": scope, "note": note}
    if days is not None:
        body["days"] = days
    if per_minute is not None:
        body["requests_per_minute"] = per_minute
    if replaces is not None:
        body["replaces"] = replaces
    found = api_of(context).post("/keys", body)
    if json:
        as_json(found)
        return
    console.print(f"{found['key']}")
    console.print(
        f"It is shown this once. Its id is {found['key_id']}.",
        style="dim",
    )


@app.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Its id.")],
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """It counts nowhere any more within a second."""
    if not yes:
        check(f"Who has {key} will be refused. Revoke it?")
    found = api_of(context).send("DELETE", f"/keys/{key}").json()
    if json:
        as_json(found)
    else:
        console.print(plain(f"revoked: {found['note']}"))


def me(context: typer.Context, json: AsJson = False) -> None:
    """Who asks, and what the key may do."""
    found = api_of(context).get("/me")
    if json:
        as_json(found)
        return
    name = found["note"] or "API_KEY"
    ends = found["expires_at"]
    until = f", until {moment(ends)}" if ends else ""
    console.print(plain(f"{name}: may {found['scope']}{until}"))
