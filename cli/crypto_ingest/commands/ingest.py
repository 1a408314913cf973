"""`ingest`, `replay`: runs that are started and watched."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from crypto_ingest import following
from crypto_ingest.client import Api, given
from crypto_ingest.commands.diffs import changes
from crypto_ingest.options import (
    AsJson,
    Since,
    Source,
    Symbol,
    Until,
    Wait,
    Yes,
    api_of,
    confirmed,
)
from crypto_ingest.output import as_json, console, errors


def ingest(
    context: typer.Context,
    streams: Annotated[
        list[str] | None,
        typer.Argument(help="Such as csv/venue/btc-usd.csv; none: all."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="All streams of a source; can be repeated."),
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option(help="From the start of each stream.")
    ] = False,
    since: Since = None,
    until: Until = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="Asked twice with it, it runs once."),
    ] = None,
    wait: Wait = True,
    json: AsJson = False,
) -> None:
    """Read the sources, or history from a day to another."""
    api = api_of(context)
    body = {
        "streams": streams or None,
        "sources": source or None,
        "full_refresh": full_refresh,
        "from": since,
        "to": until,
    }
    headers = (
        {"idempotency-key": idempotency_key} if idempotency_key else {}
    )
    accepted = api.send(
        "POST", "/ingest", json=given(body), headers=headers
    ).json()
    finish(api, accepted, wait=wait, json=json)


def finish(
    api: Api, accepted: dict[str, Any], *, wait: bool, json: bool
) -> None:
    """A run that was accepted, watched or left. Raises CommandError for one that failed."""
    if not wait:
        if json:
            as_json(accepted)
        else:
            console.print(
                f"run {accepted['run_id']} is {accepted['status']}: "
                f"`crypto-ingest runs watch {accepted['run_id']}`"
            )
        return
    run = following.watch(api, accepted["run_id"], quiet=json)
    if json:
        as_json(run)
    else:
        following.told(run)
    following.check(run)


def replay(
    context: typer.Context,
    source: Source = None,
    stream: Annotated[str | None, typer.Option()] = None,
    run: Annotated[
        str | None, typer.Option(help="Pages of this run.")
    ] = None,
    symbol: Symbol = None,
    since: Since = None,
    until: Until = None,
    direct: Annotated[
        bool, typer.Option(help="At once, without a preview.")
    ] = False,
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Map raw pages again: a preview, its differences, then publish or discard."""
    api = api_of(context)
    body = {
        "source": source,
        "stream": stream,
        "run_id": run,
        "symbol": symbol,
        "from": since,
        "to": until,
    }
    chosen = given(body)
    if direct:
        finish(api, api.post("/replay", chosen), wait=True, json=json)
        return
    accepted = api.post("/replay", {**chosen, "mode": "preview"})
    previewed = following.watch(api, accepted["run_id"], quiet=json)
    following.check(previewed)
    diff = api.get(f"/runs/{accepted['run_id']}/diff", limit=20)
    if json and not yes:
        as_json(diff)
        return
    _decide(api, accepted["run_id"], diff, yes=yes, json=json)


def _decide(
    api: Api, run_id: str, diff: dict[str, Any], *, yes: bool, json: bool
) -> None:
    """Publish what changes something and is wanted; discard the rest."""
    if not json:
        changes(diff["counts"], diff["changes"])
    if not any(diff["counts"].values()):
        api.post(f"/runs/{run_id}/discard")
        errors.print("nothing would change: the preview is discarded")
        if json:
            as_json(diff)
        return
    if not yes and not confirmed("Publish it?"):
        api.post(f"/runs/{run_id}/discard")
        errors.print("discarded: nothing has changed")
        return
    api.post(f"/runs/{run_id}/publish")
    finish(api, {"run_id": run_id}, wait=True, json=json)
