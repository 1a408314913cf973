"""`make upgrade` and `make downgrade`: this version takes over what another one left, and back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psycopg2

import shared
from embedded import commands, stack, supervision
from embedded.console import Console
from embedded.errors import StackError
from embedded.settings import ROOT, StackSettings
from embedded.upkeep.backup import Database, backup
from shared.runtime.settings import load

MIGRATIONS = ROOT / "services" / "loader" / "migrations" / "versions"
# The last tables whose data points have other ids than those of now.
OTHER_IDS = "0008"
READ_TIMEOUT_S = 300.0
_SELECT_REVISION = "SELECT version_num FROM alembic_version"


def upgrade(console: Console, arguments: list[str]) -> int:
    """Backs up, then starts this version, which brings tables and topics along."""
    settings = stack.check_settings()
    if settings.mode == "docker":
        return _upgrade_compose(console, arguments)
    is_ours = not supervision.is_running(settings) and stack.up(
        settings, console, _servers_alone
    )
    try:
        found = _revision(settings)
        _announce(console, found, arguments)
        if found is not None:
            backup(console, [])
    except BaseException:
        if is_ours:
            stack.down(settings)
        raise
    stack.down(settings)
    stack.up(settings, console)
    console.print(f"{shared.__version__} runs")
    return 0


def _servers_alone(settings: StackSettings, console: Console) -> None:
    stack.start_servers(settings, console)


def _upgrade_compose(console: Console, arguments: list[str]) -> int:
    """Its `migrate` ends before services of this version start, loaders first.

    They read what older normalizers send; the other way round it is not so.
    """
    _announce(console, _revision(load(StackSettings)), arguments)
    backup(console, [])
    start = ("up", "--build", "-d")
    return commands.compose(*start, "loader") or commands.compose(*start)


def _revision(settings: StackSettings) -> str | None:
    """Of the tables; None where there are none."""
    with Database.of(settings).session() as cursor:
        try:
            cursor.execute(_SELECT_REVISION)
        except psycopg2.errors.UndefinedTable:
            return None
        return str(cursor.fetchone()[0])


def _announce(
    console: Console, found: str | None, arguments: list[str]
) -> None:
    """What will happen. Raises StackError where it cannot, or where a person says no."""
    newest = _newest()
    if found is None:
        console.print("there is no database yet: it is made")
        return
    if found > newest:
        raise StackError(
            f"the tables are those of a newer version (step {found}, this one knows {newest}): use "
            "that version, and `make downgrade` there first"
        )
    console.print(f"tables: from step {found} to {newest}")
    if found <= OTHER_IDS and "--yes" not in arguments:
        commands.confirm(
            console,
            "data points get new ids: those that were written down elsewhere lead nowhere "
            "afterwards, and only the backup leads back",
            "YES=1 make upgrade",
        )


def _newest() -> str:
    """The last step of the tables that this version knows."""
    return max(each.name[:4] for each in MIGRATIONS.glob("0*.py"))


def downgrade(console: Console, arguments: list[str]) -> int:
    """Everything that was published is read first: an older version may not understand it."""
    names = [each for each in arguments if each != "--yes"]
    if len(names) != 1:
        raise StackError("say to which release: make downgrade TO=0.2.0")
    settings = load(StackSettings)
    if settings.mode == "docker":
        raise StackError(
            "with Docker: stop extractor and gateway, wait until `crypto-ingest services` shows "
            "nothing waiting, then run `python -m services.loader downgrade` in the loader's image"
        )
    if not supervision.is_running(settings):
        raise StackError(commands.NOTHING_RUNS)
    stack.migrate(settings, "can-downgrade", names[0])
    if "--yes" not in arguments:
        commands.confirm(
            console,
            f"this takes the tables back to {names[0]}; what only {shared.__version__} keeps is "
            "deleted from them: changes, who asked for what",
            f"YES=1 make downgrade TO={names[0]}",
        )
    backup(console, [])
    with console.step("reading what was published"):
        _read_all(settings)
    with console.step("taking the tables back"):
        supervision.stop_services(settings)
        stack.migrate(settings, "downgrade", names[0])
    stack.down(settings)
    console.print(
        f"the tables are those of {names[0]}, and everything is stopped: check that version out, "
        "and `make up`"
    )
    return 0


def _read_all(settings: StackSettings) -> None:
    """Nothing new comes, and what is there is stored. Raises StackError where it is not in time."""
    supervisor = supervision.rpc(settings)
    for service in ("gateway", "extractor"):
        supervisor.stopProcessGroup(service)
    files = _health_files(settings)
    stopped_at = time.time()
    until = time.monotonic() + READ_TIMEOUT_S
    while not all(_waits_for_nothing(each, stopped_at) for each in files):
        if time.monotonic() > until:
            stack.start_services(settings)
            raise StackError(
                f"messages still wait after {READ_TIMEOUT_S:.0f} s: `make status` says why; "
                "everything goes on as before"
            )
        time.sleep(0.5)


def _health_files(settings: StackSettings) -> list[Path]:
    """Of those that read what was published."""
    return [
        supervision.health_file(settings, service, 0)
        for service in ("normalizer", "loader")
    ]


def _waits_for_nothing(file: Path, since: float) -> bool:
    """By what a service has told of its group some seconds later."""
    try:
        state = json.loads(file.read_text())
    except (OSError, ValueError):
        return False
    is_new = float(state.get("at", 0)) > since + 3
    return is_new and state.get("lag") == 0
