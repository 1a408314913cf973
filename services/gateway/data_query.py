"""`GET /data` as SQL: filters, keyset cursor, JSON built by PostgreSQL."""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from services.gateway.problems import ProblemError

_COLUMNS = (
    "id, source, dataset, stream, kind, instrument, symbol, symbols, interval, timestamp, currency, price, open, high, low, close, volume, market_cap, "
    "title, url, summary, sentiment, attributes, run_id, page_id, revision, normalizer_version, created_at, updated_at"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Position:
    """A place in the order (timestamp DESC, id DESC). As text it is opaque to users."""

    timestamp: datetime
    id: uuid.UUID

    def encode(self) -> str:
        micros = (self.timestamp - _EPOCH) // timedelta(microseconds=1)
        return base64.urlsafe_b64encode(struct.pack(">q", micros) + self.id.bytes).decode()

    @classmethod
    def decode(cls, text: str) -> Position:
        """Raises ProblemError 422 for what no `encode` has written."""
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if len(raw) != 24:
            raise ProblemError(
                422,
                "query.cursor: not a cursor of this API: take it from a Link header",
                errors=[{"field": "query.cursor", "message": "not a cursor"}],
            )
        try:
            moment = _EPOCH + timedelta(microseconds=struct.unpack(">q", raw[:8])[0])
        except OverflowError:  # forged, but a time all the same
            moment = datetime.max.replace(tzinfo=UTC) if raw[0] < 128 else datetime.min.replace(tzinfo=UTC)
        return cls(moment, uuid.UUID(bytes=raw[8:]))


@dataclass(frozen=True)
class Filters:
    """What `GET /data` was asked for."""

    symbol: str | None = None
    source: str | None = None
    kind: str | None = None
    dataset: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    position: Position | None = None
    limit: int = 100
    skip: int = 0


def build(filters: Filters) -> tuple[str, list[Any]]:
    """One row: `body` (JSON text of the list), `count`, `last_timestamp`, `last_id`."""
    arguments: list[Any] = []

    def bind(value: Any) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    conditions = ["retired_at IS NULL"]
    conditions += [
        f"{column} {operator} {bind(value)}"
        for column, operator, value in (
            ("source", "=", filters.source), ("kind", "=", filters.kind), ("dataset", "=", filters.dataset),
            ("timestamp", ">=", filters.start), ("timestamp", "<", filters.end),
        )
        if value is not None
    ]  # fmt: skip
    if filters.position is not None:
        conditions.append(f"(timestamp, id) < ({bind(filters.position.timestamp)}, {bind(filters.position.id)})")
    order = "ORDER BY timestamp DESC, id DESC"
    window = f"LIMIT {bind(filters.limit)} OFFSET {bind(filters.skip)}"
    if filters.symbol is None:
        rows = f"SELECT * FROM unified_data{_where(conditions)} {order} {window}"
    else:
        # Two indexes, each in order: the symbol of prices and of news' first coin, and the other coins of news.
        symbol, most = bind(filters.symbol.lower()), bind(filters.limit + filters.skip)
        own = f"SELECT * FROM unified_data{_where([*conditions, f'symbol = {symbol}'])} {order} LIMIT {most}"
        about = f"SELECT * FROM unified_data{_where([*conditions, f'symbols @> ARRAY[{symbol}::text]', f'symbol IS DISTINCT FROM {symbol}'])} {order} LIMIT {most}"
        rows = f"SELECT * FROM (({own}) UNION ALL ({about})) AS either {order} {window}"
    query = f"""
        WITH rows AS ({rows}), shown AS (SELECT {_COLUMNS} FROM rows)
        SELECT coalesce(json_agg(shown {order})::text, '[]') AS body, count(*) AS count, min(timestamp) AS last_timestamp,
               (array_agg(id ORDER BY timestamp, id))[1] AS last_id
        FROM shown
    """
    return query, arguments


def _where(conditions: list[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
