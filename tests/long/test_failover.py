"""A PostgreSQL with a standby: its primary dies with its disk, and the standby takes over.

Kept in step nothing is missing. Behind, what was committed is missing there, and comes again from
Kafka by itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from embedded.servers import postgres
from embedded.settings import StackSettings
from tests.chaos.feed import CsvFile
from tests.chaos.stack import Part
from tests.support.ports import free_ports
from tests.support.product import until
from tests.support.stack import Stack, prepare, running

ROWS = 20_000
# The primary keeps no more back than this test needs.
PRIMARY = "\nwal_level = replica\nmax_wal_senders = 4\n"
POINTS = """
SELECT id, "timestamp", open, high, low, close, volume, revision
FROM unified_data ORDER BY id
"""


@dataclass
class Pair:
    """A primary and its standby."""

    primary: StackSettings
    standby: StackSettings
    parts: dict[str, Part]

    def address(self) -> str:
        return (
            f"postgresql://postgres:postgres@127.0.0.1:{self.primary.postgres_port},"
            f"127.0.0.1:{self.standby.postgres_port}/ingestion_test"
        )

    def ask(self, of: StackSettings, sql: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(of.dsn())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def lose_primary(self) -> None:
        """Its processes and its disk."""
        self.parts["primary"].stop(signal.SIGKILL)
        shutil.rmtree(postgres.data_dir(self.primary))

    def promote(self) -> None:
        self.ask(self.standby, "SELECT pg_promote(wait => true)")


def server(root: Path, name: str, port: int) -> StackSettings:
    return StackSettings(
        _env_file=None,
        mode="native",
        database_url="",
        state_dir=root / name,
        postgres_port=port,
        postgres_db="ingestion_test",
        postgres_shared_buffers="128MB",
    )


def copy_of_primary(
    primary: StackSettings, standby: StackSettings
) -> None:
    """As `pg_basebackup -R` makes it: it follows the primary."""
    target = postgres.data_dir(standby)
    command = [
        postgres.binary("pg_basebackup"),
        "--pgdata",
        str(target),
        "--host=127.0.0.1",
        f"--port={primary.postgres_port}",
        "--username=postgres",
        "--write-recovery-conf",
        "--checkpoint=fast",
        "--wal-method=stream",
    ]
    subprocess.run(
        postgres._as_owner(command, target),
        check=True,
        cwd="/",
        env={**os.environ, "PGPASSWORD": "postgres"},
    )


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    prepare(tmp_path)
    ports = free_ports(2)
    primary, standby = (
        server(tmp_path, name, port)
        for name, port in zip(("primary", "standby"), ports, strict=True)
    )
    for each in (primary, standby):
        each.state.mkdir()
        each.state.chmod(0o777)
    postgres.prepare(primary)
    configuration = postgres.data_dir(primary) / "postgresql.conf"
    configuration.write_text(configuration.read_text() + PRIMARY)
    parts = {
        name: Part(
            postgres.command(each),
            tmp_path / f"{name}.log",
            signal.SIGINT,
        )
        for name, each in (("primary", primary), ("standby", standby))
    }
    try:
        parts["primary"].start()
        postgres.wait_until_ready(primary)
        postgres.ensure_database(primary)
        copy_of_primary(primary, standby)
        parts["standby"].start()
        yield Pair(primary, standby, parts)
    finally:
        for part in parts.values():
            part.stop()


@pytest.fixture
def stack(pair: Pair, tmp_path: Path) -> Iterator[Stack]:
    with running(
        tmp_path / "state", tmp_path / "csv", DATABASE_URL=pair.address()
    ) as stack:
        stack.dsn = pair.primary.dsn()
        yield stack


def is_followed(pair: Pair) -> bool:
    found = pair.ask(
        pair.primary,
        "SELECT 1 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()",
    )
    return bool(found)


def whole(stack: Stack) -> bool:
    with contextlib.suppress(psycopg2.Error):  # it takes over just now
        found = stack.query("SELECT count(*) FROM unified_data")
        return found == [(2 * ROWS,)]
    return False


@pytest.mark.parametrize(
    "is_in_step", [True, False], ids=["in step", "behind"]
)
def test_a_standby_takes_over_and_holds_everything(
    pair: Pair, stack: Stack, *, is_in_step: bool
) -> None:
    if is_in_step:
        pair.ask(
            pair.primary,
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
        )
        pair.ask(pair.primary, "SELECT pg_reload_conf()")
    file = CsvFile(stack.csv_dir, "failover", 7, odd=False)
    file.grow(ROWS)
    assert stack.ingest(sources=["csv"])["status"] == "succeeded"
    until("the standby", lambda: is_followed(pair), 60)
    if not is_in_step:  # what comes now stays on the primary alone
        pair.ask(pair.standby, "SELECT pg_wal_replay_pause()")
        pair.parts["standby"].stop(signal.SIGKILL)
    file.grow(ROWS)
    run = stack.ingest(sources=["csv"])
    assert run["status"] == "succeeded"
    before = stack.query(POINTS)
    assert len(before) == 2 * ROWS

    pair.lose_primary()
    if not is_in_step:
        pair.parts["standby"].start()
        postgres.wait_until_ready(pair.standby)
    pair.promote()
    stack.dsn = pair.standby.dsn()

    until("everything to be there again", lambda: whole(stack), 120, 0.5)
    assert stack.query(POINTS) == before
    stack.wait_ready()
    again = stack.run_state(run["run_id"])
    assert (again["status"], again["ledger"]["balanced"]) == (
        "succeeded",
        True,
    )
    file.grow(1_000)
    last = stack.ingest(sources=["csv"])
    assert (last["status"], last["inserted"]) == ("succeeded", 1_000)
    said = "".join(
        path.read_text() for path in stack.settings.logs.glob("loader*")
    )
    assert "another one than before" in said
