"""Reading PostgreSQL: one pool, the read-only role, JSON built by the server."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import asyncpg

from services.gateway.settings import GatewaySettings

STATEMENT_TIMEOUT_MS = 10_000
TURN_TIMEOUT_S = 10.0  # as long as a statement may take
CONNECT_TIMEOUT_S = 3.0
COMMAND_TIMEOUT_S = 15.0
ACQUIRE_TIMEOUT_S = 5.0
KEPT_STATEMENTS = 32  # of a connection, with their plans
# What asyncpg raises when the database cannot be reached or is going down.
DATABASE_UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidAuthorizationSpecificationError,
    # What asyncpg says where the connection is lost between two steps of a statement.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_SERVER_SETTINGS = {
    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
    "timezone": "UTC",
    "application_name": "gateway",
    "default_transaction_read_only": "on",
    # Plans are kept, and tables grow below them: what was right for a few rows, to read and sort
    # them all, must not be kept. Every list has an index in its order.
    "enable_seqscan": "off",
}


class BusyError(Exception):
    """More requests want the database at once than can wait for it."""


class Database:
    """A pool that connects when it is first needed.

    So the gateway starts, and answers, without PostgreSQL.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        size: int | None = None,
        dsn: str | None = None,
    ) -> None:
        """`size`: queries at a time, of POOL_SIZE. `dsn`: of another server than the primary."""
        self._dsn = dsn or settings.reader()
        self._size = size or settings.pool_size
        self._pool: asyncpg.Pool | None = None
        self._turns = asyncio.Semaphore(self._size)

    async def start(self) -> None:
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._size,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
            statement_cache_size=KEPT_STATEMENTS,
            server_settings=_SERVER_SETTINGS,
            reset=_reset,
        )

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Rows of a query.

        Raises asyncpg's errors and OSError, which `problems` turns into 503, and BusyError, which
        it turns into 429.
        """
        if self._pool is None:
            raise asyncpg.InterfaceError("the pool is not started")
        try:
            async with asyncio.timeout(TURN_TIMEOUT_S):
                await self._turns.acquire()
        except TimeoutError:
            raise BusyError from None
        try:
            async with self._pool.acquire(
                timeout=ACQUIRE_TIMEOUT_S
            ) as connection:
                return list(await connection.fetch(query, *arguments))
        finally:
            self._turns.release()

    async def row(self, query: str, *arguments: Any) -> Any | None:
        """The first row of a query. Raises as `rows`."""
        found = await self.rows(query, *arguments)
        return found[0] if found else None

    async def latency_ms(self) -> float | None:
        """How long `SELECT 1` takes; None while the database is unavailable."""
        started = time.monotonic()
        try:
            await self.rows("SELECT 1")
        except (*DATABASE_UNAVAILABLE, BusyError):
            return None
        return round((time.monotonic() - started) * 1000, 2)


async def _reset(_connection: asyncpg.Connection) -> None:
    """Nothing: a session that only reads has nothing to reset, which saves a round trip."""


class Where:
    """Collects conditions. `arguments` belong to the statement, in the order of their numbers.

    `of`: what it shares the arguments with.
    """

    def __init__(self, of: Where | None = None) -> None:
        self.arguments: list[Any] = of.arguments if of else []
        self.conditions: list[str] = []

    def bind(self, value: Any) -> str:
        """Keep an argument; returns how the statement names it, such as `$1`."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, left: str, value: Any) -> None:
        """Add a condition such as `timestamp >=`, unless the value is None."""
        if value is not None:
            self.conditions.append(f"{left} {self.bind(value)}")

    def add_among(self, column: str, values: list[str] | None) -> None:
        """Add a condition that a column has one of these texts, unless they are None."""
        if values is None:
            return
        if len(values) == 1:
            self.add(f"{column} =", values[0])
        else:
            self.conditions.append(
                f"{column} = ANY({self.bind(values)}::text[])"
            )

    def add_behind(
        self,
        columns: str,
        position: tuple[Any, ...] | None,
        *,
        is_ascending: bool = False,
    ) -> None:
        """Rows that come after a position in the order of these columns, the greatest first."""
        if position is not None:
            bound = ", ".join(map(self.bind, position))
            sign = ">" if is_ascending else "<"
            self.conditions.append(f"({columns}) {sign} ({bound})")

    def __str__(self) -> str:
        return where(self.conditions)


def where(conditions: list[str]) -> str:
    """The WHERE clause of these conditions, empty without any."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def window_of(limit: int, skip: int = 0) -> str:
    """LIMIT and OFFSET, in figures: a plan that is kept must know how few rows are asked for."""
    return f"LIMIT {int(limit)}" + (
        f" OFFSET {int(skip)}" if skip else ""
    )
