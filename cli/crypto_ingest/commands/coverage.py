"""`coverage` and `fill`: what is missing, why, and asking the sources for it."""

from __future__ import annotations

from typing import Any

import typer

from crypto_ingest.client import given
from crypto_ingest.commands.ingest import finish
from crypto_ingest.options import (
    AsJson,
    Dataset,
    Limit,
    Since,
    Source,
    Symbol,
    Until,
    Wait,
    Yes,
    api_of,
    check,
)
from crypto_ingest.output import as_json, console, moment, table


def coverage(
    context: typer.Context,
    source: Source = None,
    dataset: Dataset = None,
    symbol: Symbol = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    json: AsJson = False,
) -> None:
    """How complete each series is, and the cause of every hole."""
    rows = list(
        api_of(context).pages(
            "/coverage",
            limit,
            source=source,
            dataset=dataset,
            symbol=symbol,
            from_=since,
            to=until,
        )
    )
    if json:
        as_json(rows)
        return
    table(
        (
            "series",
            ">points",
            ">complete",
            "missing from",
            "to",
            ">missing",
            "cause",
        ),
        (line for row in rows for line in _lines(row)),
        "no series matches",
    )


def _lines(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The series, then a line a hole."""
    part = row["completeness"]
    name = " ".join(
        filter(
            None,
            (
                row["source"],
                row["dataset"],
                row["symbol"],
                row["currency"],
                row["interval"] or row["kind"],
            ),
        )
    )
    # What is not whole is never shown as 100 %.
    whole = "" if part is None else f"{int(part * 1000) / 10} %"
    holes = [
        (
            "",
            "",
            "",
            moment(hole["from"]),
            moment(hole["to"]),
            hole["missing"],
            hole["cause"]
            + (", can be filled" if hole["can_fill"] else ""),
        )
        for hole in row["holes"]
    ]
    return [(name, row["points"], whole, "", "", "", ""), *holes]


def fill(
    context: typer.Context,
    source: Source = None,
    dataset: Dataset = None,
    symbol: Symbol = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    wait: Wait = True,
    json: AsJson = False,
) -> None:
    """Ask the sources for what they can fill; says first how many calls it takes."""
    api = api_of(context)
    asked = {
        "source": source,
        "dataset": dataset,
        "symbol": symbol,
        "from": since,
        "to": until,
    }
    body = given(asked)
    planned = api.post("/coverage/fill", {**body, "dry_run": True})
    windows = planned["windows"] or []
    if not windows:
        if json:
            as_json(planned)
        else:
            console.print("nothing is missing that a source can fill")
        return
    if not yes:
        _tell(planned)
        check("Ask for it?")
    filling = api.post("/coverage/fill", body)
    if filling["run_id"] is None:
        as_json(filling)
        return
    finish(api, filling, wait=wait, json=json)


def _tell(planned: dict[str, Any]) -> None:
    table(
        ("stream", "from", "to", ">calls"),
        (
            (
                each["stream"],
                moment(each["from"]),
                moment(each["to"]),
                each["calls"],
            )
            for each in planned["windows"]
        ),
        "",
    )
    budget = planned["budget"]
    left = ""
    if budget and budget["per_month"] is not None:
        rest = budget["per_month"] - budget["used"]
        left = f" of {rest:,} that are left of this month"
    console.print(f"{planned['calls']:,} calls{left}")
