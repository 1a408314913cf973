"""`runs`: their history, one of them, watching, comparing, repairing, cancelling."""

from __future__ import annotations

from typing import Annotated

import typer

from crypto_ingest import following
from crypto_ingest.commands.diffs import changes
from crypto_ingest.commands.ingest import finish
from crypto_ingest.options import AsJson, Limit, Wait, api_of
from crypto_ingest.output import as_json, console, moment, table

app = typer.Typer(no_args_is_help=True)
RunId = Annotated[str, typer.Argument(help="As `runs list` shows it.")]


@app.command("list")
def list_runs(
    context: typer.Context,
    limit: Limit = 20,
    status: Annotated[
        str | None, typer.Option(help="Such as failed.")
    ] = None,
    json: AsJson = False,
) -> None:
    """The newest first."""
    rows = list(api_of(context).pages("/stats", limit, status=status))
    if json:
        as_json(rows)
        return
    table(
        ("run", "kind", "status", "asked for", ">records", ">rejected"),
        (
            (
                row["run_id"],
                row["kind"],
                row["status"],
                moment(row["requested_at"]),
                row["records"],
                row["rejected"],
            )
            for row in rows
        ),
        "there are no runs: `crypto-ingest ingest` makes one",
    )


@app.command()
def show(
    context: typer.Context, run: RunId, json: AsJson = False
) -> None:
    """Its tasks, figures and ledger."""
    found = api_of(context).get(f"/runs/{run}")
    if json:
        as_json(found)
        return
    following.told(found)
    table(
        ("stream", "status", ">pages", ">records", ">rejected", "why"),
        (
            (
                task["stream"],
                task["status"],
                task["pages_loaded"],
                task["records"],
                task["rejected"],
                (task["error"] or {}).get("message", ""),
            )
            for task in found["tasks"]
        ),
        "it has no tasks",
    )
    ledger = found["ledger"]
    balanced = "balanced" if ledger["balanced"] else "not balanced"
    console.print(
        f"ledger: {balanced}, {ledger['pages_received']:,} of "
        f"{ledger['pages_published']:,} pages"
    )


@app.command()
def watch(
    context: typer.Context, run: RunId, json: AsJson = False
) -> None:
    """Until it has ended."""
    finish(api_of(context), {"run_id": run}, wait=True, json=json)


@app.command()
def cancel(
    context: typer.Context, run: RunId, json: AsJson = False
) -> None:
    """End it; what it has read stays."""
    _told(api_of(context).post(f"/runs/{run}/cancel"), json=json)


@app.command()
def repair(
    context: typer.Context,
    run: RunId,
    wait: Wait = True,
    json: AsJson = False,
) -> None:
    """Read again what is missing of it."""
    api = api_of(context)
    finish(api, api.post(f"/runs/{run}/repair"), wait=wait, json=json)


@app.command()
def undo(
    context: typer.Context, run: RunId, json: AsJson = False
) -> None:
    """Bring back what it has taken out of sight."""
    _told(api_of(context).post(f"/runs/{run}/undo"), json=json)


def diff(
    context: typer.Context,
    first: RunId,
    second: RunId,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: AsJson = False,
) -> None:
    """What two runs made of the same records, field by field."""
    found = api_of(context).get(
        f"/runs/{first}/diff/{second}", limit=limit
    )
    if json:
        as_json(found)
    else:
        changes(found["counts"], found["differences"])


def _told(answer: dict[str, str], *, json: bool) -> None:
    if json:
        as_json(answer)
    else:
        console.print(
            f"run {answer['run_id']}: {answer['status']}, asked"
        )
