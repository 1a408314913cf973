"""`feeds`, `coins`, `pause`, `resume`, `config`, `audit`: what is configured, and by whom."""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from crypto_ingest.errors import FAILED, CommandError
from crypto_ingest.following import watch
from crypto_ingest.options import AsJson, Limit, Yes, api_of, check
from crypto_ingest.output import as_json, console, moment, plain, table

feeds = typer.Typer(no_args_is_help=True)
coins = typer.Typer(no_args_is_help=True)
config = typer.Typer(no_args_is_help=True)
MAX_SHOWN = 80  # characters of a value
CoinSource = Annotated[
    str, typer.Option("--source", help="coinpaprika or coingecko.")
]
FeedName = Annotated[
    str, typer.Argument(help="It becomes the stream rss/NAME.")
]
What = Annotated[
    str,
    typer.Argument(
        help="A source, a stream, schedule/NAME, or * for everything."
    ),
]


@feeds.command("list")
def list_feeds(context: typer.Context, json: AsJson = False) -> None:
    """Where each is configured, and whether it is read."""
    found = api_of(context).get("/sources/rss/feeds")
    if json:
        as_json(found)
        return
    table(
        ("name", "address", "configured", "state"),
        (
            (
                each["name"],
                each["url"],
                origin(each),
                each["paused"] or "on",
            )
            for each in found
        ),
        "no feed is read: `crypto-ingest feeds add NAME ADDRESS` adds one",
    )


@feeds.command()
def add(
    context: typer.Context,
    name: FeedName,
    url: Annotated[str, typer.Argument(help="Of the feed.")],
    json: AsJson = False,
) -> None:
    """Read a feed from the next run on, or read it at another address."""
    found = api_of(context).put(
        f"/sources/rss/feeds/{name}", {"url": url}
    )
    if json:
        as_json(found)
        return
    console.print(
        plain(f"{name}: `crypto-ingest ingest rss/{name}` reads it now")
    )


@feeds.command()
def find(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="Of a feed, or of a site.")],
    json: AsJson = False,
) -> None:
    """Look which feeds an address leads to; nothing is stored."""
    api = api_of(context)
    accepted = api.post("/sources/rss/find", {"url": url})
    run = watch(api, accepted["run_id"], quiet=json)
    found = [
        each
        for task in run["tasks"]
        for each in (task["profile"] or {}).get("feeds", [])
    ]
    if json:
        as_json(found)
    else:
        table(
            ("address", "title", ">entries", "newest", "such as"),
            (
                (
                    each["url"],
                    each["title"],
                    each["entries"],
                    moment(each["newest"]),
                    next(iter(each["sample"]), ""),
                )
                for each in found
            ),
            "",
        )
    if run["status"] != "succeeded":
        raise CommandError(run["message"] or "nothing was found", FAILED)


@feeds.command()
def remove(
    context: typer.Context, name: FeedName, yes: Yes = False
) -> None:
    """Read a feed no more; what was read stays."""
    if not yes:
        check(f"Read the feed {name} no more?")
    api_of(context).send("DELETE", f"/sources/rss/feeds/{name}")
    console.print(plain(f"removed: {name}"))


@feeds.command("export")
def export_feeds(context: typer.Context) -> None:
    """As OPML on standard output."""
    answer = api_of(context).send("GET", "/sources/rss/opml")
    sys.stdout.write(answer.text + "\n")


@feeds.command("import")
def import_feeds(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    json: AsJson = False,
) -> None:
    """Those of an OPML file of another reader."""
    found = (
        api_of(context)
        .send(
            "POST",
            "/sources/rss/opml",
            content=file.read_bytes(),
            headers={"content-type": "text/x-opml"},
        )
        .json()
    )
    if json:
        as_json(found)
        return
    for what in ("added", "known", "refused"):
        for each in found[what]:
            console.print(plain(f"{what}: {each}"))


@coins.command("show")
def show_coins(
    context: typer.Context,
    source: CoinSource = "coinpaprika",
    json: AsJson = False,
) -> None:
    """By their ids."""
    _say_coins(api_of(context).get(f"/sources/{source}/coins"), json=json)


@coins.command("set")
def set_coins(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(help='Or "*" for all.')],
    source: CoinSource = "coinpaprika",
    json: AsJson = False,
) -> None:
    """Choose them, in place of those that are chosen now."""
    found = api_of(context).put(f"/sources/{source}/coins", {"ids": ids})
    _say_coins(found, json=json)


@coins.command("reset")
def reset_coins(
    context: typer.Context,
    source: CoinSource = "coinpaprika",
    json: AsJson = False,
) -> None:
    """Those of .env again."""
    answer = api_of(context).send("DELETE", f"/sources/{source}/coins")
    _say_coins(answer.json(), json=json)


def _say_coins(found: Any, *, json: bool) -> None:
    if json:
        as_json(found)
        return
    console.print(plain(" ".join(found["ids"]) or "none"))
    console.print(plain(f"configured {origin(found)}"))
    if found["forecast"] and found["forecast"]["warning"]:
        console.print(
            f"[yellow]![/] {plain(found['forecast']['warning'])}"
        )


def pause(
    context: typer.Context,
    what: What,
    note: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Read something no more until it is resumed."""
    api_of(context).put(f"/pauses/{what}", {"note": note})
    console.print(
        plain(f"paused: {what}; `crypto-ingest resume {what}` goes on")
    )


def resume(context: typer.Context, what: What) -> None:
    """Read again what was paused."""
    api_of(context).send("DELETE", f"/pauses/{what}")
    console.print(plain(f"resumed: {what}"))


@config.command("list")
def list_configuration(
    context: typer.Context, json: AsJson = False
) -> None:
    """Everything that can be changed at run time, and where it stands."""
    found = api_of(context).get("/configuration")
    if json:
        as_json(found)
        return
    table(
        ("name", "value", "configured"),
        (
            (each["name"], _short(each["value"]), origin(each))
            for each in found
        ),
        "nothing is known yet: is an extractor running?",
    )


@config.command()
def reset(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As `config list` has it.")],
) -> None:
    """What .env says again."""
    api_of(context).send("DELETE", f"/configuration/{name}")
    console.print(plain(f"reset: {name}"))


def audit(
    context: typer.Context,
    subject: Annotated[
        str | None,
        typer.Option(help="A run's id, key/ID, or a setting's name."),
    ] = None,
    asked_by: Annotated[
        str | None, typer.Option(help="API_KEY, or the id of a key.")
    ] = None,
    limit: Limit = 20,
    json: AsJson = False,
) -> None:
    """Who asked for what, the newest first."""
    rows = api_of(context).pages(
        "/audit", limit, subject=subject, asked_by=asked_by
    )
    if json:
        as_json(list(rows))
        return
    table(
        ("at", "who", "what", "about", "now"),
        (
            (
                moment(each["at"]),
                each["asked_by"],
                each["action"],
                each["subject"],
                _short(each["after"]),
            )
            for each in rows
        ),
        "nobody asked for anything",
    )


def origin(each: Any) -> str:
    if each["origin"] == "env":
        return "by .env"
    who = each["changed_by"] or "API_KEY"
    return f"{moment(each['changed_at'])} by {who}"


def _short(value: Any) -> str:
    """A value on one line, its type left out."""
    if value is None:
        return "–"
    if isinstance(value, dict):
        value = {
            name: each
            for name, each in value.items()
            if name not in ("type", "run_id", "requested_at")
        }
    text = json_.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
