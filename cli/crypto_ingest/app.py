"""The commands, put together."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from crypto_ingest import __version__, doctor
from crypto_ingest.commands import (
    configuration,
    coverage,
    export,
    ingest,
    keys,
    letters,
    runs,
    schedules,
    sources,
    webhooks,
)
from crypto_ingest.errors import FAILED, CommandError
from crypto_ingest.options import AsJson, settings_of
from crypto_ingest.output import as_json, console, plain

app = typer.Typer(
    name="crypto-ingest",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "The command line of the crypto ingestion API. Exit codes: 0 done, 1 a run failed or the "
        "doctor found what must be mended, 2 wrong use, 3 refused by the API, 4 it cannot be "
        "reached."
    ),
)
SIGNS = {
    doctor.Level.GOOD: "[green]✓[/]",
    doctor.Level.CARE: "[yellow]![/]",
    doctor.Level.BAD: "[red]✗[/]",
}


def _version(value: bool) -> None:
    if value:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="CRYPTO_INGEST_URL",
            help="Such as http://localhost:8000",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="CRYPTO_INGEST_KEY", help="The API key."),
    ] = None,
    _is_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Its own."
        ),
    ] = False,
) -> None:
    context.obj = {"url": url, "key": key}


@app.command("doctor")
def examine(context: typer.Context, json: AsJson = False) -> None:
    """What is wrong, why, and what to do."""
    found = []
    for each in doctor.findings(settings_of(context)):
        found.append(each)
        if not json:
            console.print(
                f"{SIGNS[each.level]} {plain(each.what)}: {plain(each.found)}"
            )
            if each.do:
                console.print(f"    [bold]→[/] {plain(each.do)}")
    if json:
        as_json([asdict(each) for each in found])
    bad = sum(each.level is doctor.Level.BAD for each in found)
    if bad:
        raise CommandError(f"{bad} to be mended", FAILED)


app.command("ingest")(ingest.ingest)
app.command("replay")(ingest.replay)
app.command("diff")(runs.diff)
app.command("coverage")(coverage.coverage)
app.command("fill")(coverage.fill)
app.command("export")(export.export)
app.command("upload")(sources.upload)
app.command("sources")(sources.sources)
app.command("services")(sources.services)
app.command("me")(keys.me)
app.command("pause")(configuration.pause)
app.command("resume")(configuration.resume)
app.command("audit")(configuration.audit)
app.add_typer(
    schedules.app, name="schedule", help="When what is ingested."
)
app.add_typer(
    configuration.feeds, name="feeds", help="The feeds that are read."
)
app.add_typer(
    configuration.coins, name="coins", help="The coins of a source."
)
app.add_typer(
    configuration.config, name="config", help="What is configured."
)
app.add_typer(
    webhooks.app, name="webhooks", help="Who is told what happens."
)
app.add_typer(keys.app, name="keys", help="Who may use the API.")
app.add_typer(
    runs.app, name="runs", help="Their history, one of them, to its end."
)
app.add_typer(
    letters.app, name="dead-letters", help="What could not be processed."
)
