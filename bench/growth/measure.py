"""What the server and the loader spend on records, and what reads take."""

from __future__ import annotations

import statistics
import time
from collections import deque
from dataclasses import dataclass, fields

import psutil
import psycopg2
from sqlalchemy import Engine

from bench.api import selects
from services.gateway.queries.data import Filters
from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.loader.pages.write_replayed import ReplayWriter
from tests.support.stack import Stack

WINDOW = 200_000  # records that a mark is about: the last ones
READS = 200
PLANNED = 20
_SIZE = """
SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
"""
_DETACH = "SELECT detach_partition(%s)"
_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
Figures = dict[str, float]


@dataclass(frozen=True)
class Spent:
    """Seconds of processor time, bytes of the log and of all tables with their indexes."""

    records: int = 0
    server_s: float = 0.0
    loader_s: float = 0.0
    wal: int = 0
    size: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            *(
                getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
            )
        )

    def by_record(self) -> Figures:
        records = max(1, self.records)
        return {
            "server_us": round(self.server_s / records * 1e6, 1),
            "loader_us": round(self.loader_s / records * 1e6, 1),
            "wal_bytes": round(self.wal / records),
            "bytes": round(self.size / records),
        }


class Window:
    """The last batches of candles."""

    def __init__(self) -> None:
        self._batches: deque[Spent] = deque()

    def add(self, spent: Spent) -> None:
        self._batches.append(spent)
        first = self._batches[0].records
        if self.total().records - first >= WINDOW:
            self._batches.popleft()

    def total(self) -> Spent:
        return sum(self._batches, Spent())


class Meter:
    """Writes pages as the loader does, and reads as the gateway does."""

    def __init__(self, stack: Stack, engine: Engine, dsn: str) -> None:
        self._engine = engine
        (postmaster,) = stack.pids("postgres")
        self._server = psutil.Process(postmaster)
        self._own = psutil.Process()
        self._dsn = dsn
        self._db = psycopg2.connect(self._dsn)
        self._db.autocommit = True

    def write(self, pages: list[StagedPage]) -> Spent:
        """What that took, without the looking."""
        wal, size = self._number(_WAL), self._number(_SIZE)
        server, own = self._server_s(), self._own_s()
        if pages[0].unified.replay is None:
            write_pages(self._engine, pages)
        else:
            write_pages(self._engine, pages, ReplayWriter())
        server, own = self._server_s() - server, self._own_s() - own
        return Spent(
            sum(len(page.ids) for page in pages),
            server,
            own,
            self._number(_WAL) - wal,
            self._number(_SIZE) - size,
        )

    def reads(
        self, wanted: dict[str, list[Filters]]
    ) -> dict[str, Figures]:
        """Milliseconds that PostgreSQL takes for each, and to plan it."""
        return {
            name: self._read(
                [selects(each, self._dsn) for each in filters]
            )
            for name, filters in wanted.items()
        }

    def drop_year(self, year: int) -> dict[str, float]:
        """What retention takes for a year of data points."""
        with self._db.cursor() as cursor:
            gone: object = ""
            while (
                gone is not None
            ):  # what is older, and has no data points
                cursor.execute(_DETACH, (f"{year}-01-01",))
                (gone,) = cursor.fetchone() or (None,)
            cursor.execute("SELECT drop_detached()")
            server, started = self._server_s(), time.perf_counter()
            cursor.execute(_DETACH, (f"{year + 1}-01-01",))
            detached_s = time.perf_counter() - started
            cursor.execute("SELECT drop_detached()")
            (rows,) = cursor.fetchone() or (0,)
        return {
            "rows": int(rows),
            "detach_ms": round(detached_s * 1e3, 1),
            "server_s": round(self._server_s() - server, 2),
        }

    def close(self) -> None:
        self._db.close()

    def _own_s(self) -> float:
        own = self._own.cpu_times()
        return float(own.user + own.system)

    def _server_s(self) -> float:
        """Of the server, of processes that have ended and of those that are there."""
        times = self._server.cpu_times()
        total = sum(times[:4])
        for process in self._server.children():
            try:
                own = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += own.user + own.system
        return float(total)

    def _number(self, query: str) -> int:
        with self._db.cursor() as cursor:
            cursor.execute(query)
            (number,) = cursor.fetchone() or (0,)
        return int(number)

    def _read(self, queries: list[list[str]]) -> Figures:
        taken = [self._taken_ms(query) for query in queries]
        planned = map(self._planning_ms, queries[:PLANNED])
        return {
            "p99_ms": round(statistics.quantiles(taken, n=100)[98], 2),
            "planning_ms": round(statistics.median(planned), 2),
        }

    def _taken_ms(self, queries: list[str]) -> float:
        started = time.perf_counter()
        with self._db.cursor() as cursor:
            for query in queries:
                cursor.execute(query)
                cursor.fetchall()
        return (time.perf_counter() - started) * 1e3

    def _planning_ms(self, queries: list[str]) -> float:
        taken = 0.0
        with self._db.cursor() as cursor:
            for query in queries:
                cursor.execute(f"EXPLAIN (SUMMARY, FORMAT JSON) {query}")
                ((plan,),) = cursor.fetchall()
                taken += float(plan[0]["Planning Time"])
        return taken
