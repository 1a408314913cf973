"""What several commands take, and what they are handed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from crypto_ingest.client import Api
from crypto_ingest.errors import WRONG_USE, CommandError
from crypto_ingest.settings import Settings, load

AsJson = Annotated[
    bool, typer.Option("--json", help="The API's answer, for programs.")
]
Limit = Annotated[
    int, typer.Option(min=0, help="So many at most; 0: all there are.")
]
Source = Annotated[
    str | None,
    typer.Option(help="coinpaprika, coingecko, csv or rss."),
]
Symbol = Annotated[str | None, typer.Option(help="Such as btc.")]
Dataset = Annotated[
    str | None, typer.Option(help="Such as the folder of a CSV file.")
]
Since = Annotated[
    str | None, typer.Option("--from", help="2024-01-31T12:00:00Z")
]
Until = Annotated[
    str | None, typer.Option("--to", help="2024-01-31T12:00:00Z")
]
Wait = Annotated[
    bool,
    typer.Option("--wait/--no-wait", help="Until the run has ended."),
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help="Without a question.")
]


def confirmed(question: str) -> bool:
    """The answer of a person. Raises CommandError where nobody is there to give one."""
    if not sys.stdin.isatty():
        raise CommandError(
            f"{question} Nobody is there to ask: answer it with --yes",
            WRONG_USE,
        )
    return typer.confirm(question, err=True)


def check(question: str) -> None:
    """Raises Abort for an answer that is not yes, CommandError where nobody is there."""
    if not confirmed(question):
        raise typer.Abort


def api_of(context: typer.Context) -> Api:
    """The API that the options, the environment or the file name."""
    return Api(settings_of(context))


def settings_of(context: typer.Context) -> Settings:
    given: dict[str, str | None] = context.obj or {}
    return load(given.get("url"), given.get("key"))
