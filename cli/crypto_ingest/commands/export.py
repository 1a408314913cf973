"""`export`: everything that matches, as a file."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

import httpx
import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TransferSpeedColumn,
)

from crypto_ingest.client import Parameters
from crypto_ingest.errors import UNAVAILABLE, WRONG_USE, CommandError
from crypto_ingest.options import (
    Dataset,
    Since,
    Source,
    Symbol,
    Until,
    api_of,
)
from crypto_ingest.output import errors


class What(StrEnum):
    """What a file can be made of."""

    DATA = "data"
    OHLCV = "ohlcv"
    CHANGES = "changes"
    SENTIMENT = "sentiment"


class Form(StrEnum):
    """Of a file."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


def export(
    context: typer.Context,
    what: What,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="A file; - is the output."),
    ],
    form: Annotated[
        Form | None,
        typer.Option("--format", help="Else by the file's ending."),
    ] = None,
    source: Source = None,
    dataset: Dataset = None,
    symbol: Symbol = None,
    interval: Annotated[
        str | None, typer.Option(help="Such as 1h or 1d.")
    ] = None,
    since: Since = None,
    until: Until = None,
    kind: Annotated[
        str | None, typer.Option(help="candle, price, ticker or news.")
    ] = None,
    force: Annotated[
        bool, typer.Option(help="Over a file that is there.")
    ] = False,
) -> None:
    """Rows that match, whole: a file that broke off is not left behind."""
    parameters: Parameters = {
        "format": str(form or _form_of(output)),
        "source": source,
        "dataset": dataset,
        "symbol": symbol,
        "interval": interval,
        "from_": since,
        "to": until,
        "kind": kind,
    }
    with api_of(context).stream(f"/{what}", parameters) as response:
        if str(output) == "-":
            _copy(response, sys.stdout.buffer)
            return
        if output.exists() and not force:
            raise CommandError(
                f"{output} is there already: --force writes over it",
                WRONG_USE,
            )
        _write(response, output)
    errors.print(f"{output}: {output.stat().st_size:,} bytes")


def _form_of(output: Path) -> Form:
    """Raises CommandError for an ending that says nothing."""
    try:
        return Form(output.suffix.removeprefix("."))
    except ValueError:
        known = ", ".join(Form)
        raise CommandError(
            f"{output} does not say what it is to be: --format {known}",
            WRONG_USE,
        ) from None


def _write(response: httpx.Response, output: Path) -> None:
    part = output.with_name(f".{output.name}.part")
    try:
        with part.open("wb") as file:
            _copy(response, file)
        part.replace(output)
    except OSError as error:
        raise CommandError(
            f"{output}: {error.strerror or error}", WRONG_USE
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _copy(response: httpx.Response, file: BinaryIO) -> None:
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns,
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as bars:
        bar = bars.add_task("", total=None)
        try:
            for piece in response.iter_bytes(1 << 16):
                file.write(piece)
                bars.advance(bar, len(piece))
        except httpx.TransportError as error:
            raise CommandError(
                f"the answer broke off ({error}): what came is not whole, ask again",
                UNAVAILABLE,
            ) from error
