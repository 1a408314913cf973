"""The same candles into empty tables, a moment after: what the machine makes of it now.

Marks lie minutes and hours apart, and machines are not always equally fast; what stands beside a
mark was measured beside it.
"""

from __future__ import annotations

import time
from itertools import chain

import psycopg2
from sqlalchemy import Engine

from bench.growth.measure import Figures, Meter, Spent
from bench.growth.workload import PAIRS, Workload
from services.loader.database import build_engine
from services.loader.migrate import migrate
from services.loader.settings import LoaderSettings
from shared.runtime.database_url import for_sqlalchemy
from shared.tables import metadata
from tests.support.stack import Stack

DATABASE = "control"
ROWS = 50_000
QUIET_S = 60.0
_AT_WORK = """
SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'
"""


class Control:
    """A database beside the one that grows, in the same server."""

    def __init__(self, stack: Stack) -> None:
        dsn = stack.settings.dsn()
        self._db = psycopg2.connect(dsn)
        self._db.autocommit = True
        with self._db.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
            cursor.execute(f"CREATE DATABASE {DATABASE}")
        own = f"{dsn.rpartition('/')[0]}/{DATABASE}"
        migrate(
            LoaderSettings(
                _env_file=None,
                database_url=own,
                kafka_bootstrap_servers=stack.settings.kafka_bootstrap_servers,
                mode="native",
            )
        )
        self._engine: Engine = build_engine(for_sqlalchemy(own))
        self._meter = Meter(stack, self._engine, own)

    def measure(self, rows: int) -> Figures:
        """A candle into empty tables. `rows`: as many as the workload has in all."""
        self._wait_for_quiet()
        with self._engine.begin() as transaction:
            tables = ", ".join(
                name
                for name in metadata.tables
                if name != "change_position"
            )
            transaction.exec_driver_sql(f"TRUNCATE {tables}")
        spent = Spent()
        work = Workload(rows)
        batches = chain.from_iterable(map(work.candles, range(PAIRS)))
        for number, pages in enumerate(batches):
            written = self._meter.write(pages)
            if number:  # the first has made the partitions
                spent += written
            if spent.records >= ROWS:
                break
        return spent.by_record()

    def close(self) -> None:
        self._meter.close()
        self._engine.dispose()
        self._db.close()

    def _wait_for_quiet(self) -> None:
        until = time.monotonic() + QUIET_S
        while time.monotonic() < until:
            with self._db.cursor() as cursor:
                cursor.execute(_AT_WORK)
                if cursor.fetchone() == (0,):
                    break
            time.sleep(1)
