"""Pages with defaults, so that a test shows only what matters."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
from sqlalchemy import Engine

from services.loader.pages.staged_page import StagedPage
from services.loader.pages.transaction import write_pages
from services.loader.pages.write_replayed import ReplayWriter
from services.normalizer.unify import unify
from shared.identity.ids import page_id
from shared.messages.pages import RawPage, Rejection, UnifiedPage
from shared.messages.serialization import encode, raw_json

CANDLE_COLUMNS = ["date", "open", "high", "low", "close", "volume"]


def candle(day: int = 1, close: str = "1.5") -> list[str]:
    return [f"2024-01-{day:02}", "1", "2", "0.5", close, "9"]


def csv_context(path: str) -> dict[str, Any]:
    """Of a file of daily candles."""
    return {
        "path": path,
        "columns": CANDLE_COLUMNS,
        "preamble": [],
        "sample": [candle(1), candle(2)],
    }


def raw_page(
    records: list[Any] | None = None,
    *,
    run_id: str = "",
    stream: str = "csv/sample/btc-usd.csv",
    page_no: int = 0,
    context: Any = None,
    rejections: list[Rejection] | None = None,
    **more: Any,
) -> RawPage:
    records = [candle()] if records is None else records
    run_id = run_id or str(uuid.uuid4())
    encoded = encode(records)
    source, _, rest = stream.partition("/")
    context = csv_context(rest) if context is None else context
    fields: dict[str, Any] = {
        "page_id": page_id(run_id, stream, page_no, encoded),
        "run_id": run_id,
        "task_id": str(uuid.uuid5(uuid.UUID(run_id), stream)),
        "source": source,
        "dataset": rest.partition("/")[0] or rest,
        "stream": stream,
        "page_no": page_no,
        "records": msgspec.Raw(encoded),
        "record_count": len(records)
        + sum(r.count for r in rejections or []),
        "context": raw_json(context),
        "origin": raw_json(
            {"path": rest, "first_row": 1, "first_line": 2}
        ),
        "fetched_at": "2026-01-15T12:00:00+00:00",
        "cursor_before": raw_json(None),
        "cursor_after": raw_json({"offset": 1}),
        "rejections": rejections or [],
    }
    return RawPage(**{**fields, **more})


def unified_page(
    page: RawPage | None = None,
    *,
    offset: int = 0,
    broker_ms: int = 1_700_000_000_000,
    partition: int = 0,
    republished: bool = False,
) -> UnifiedPage:
    """What the normalizer makes of a page."""
    return unify(
        encode(page or raw_page()),
        partition=partition,
        offset=offset,
        broker_ms=broker_ms,
        republished=republished,
    )[1]


def write_replayed(engine: Engine, pages: list[StagedPage]) -> None:
    """Write pages of one replay."""
    write_pages(engine, pages, ReplayWriter())
