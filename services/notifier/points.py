"""The points of a unified page that conditions look at: those of now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import msgspec

from services.notifier.conditions import FRESH_S, Point, decimal
from shared.messages.pages import UnifiedPage
from shared.messages.points import UnifiedData

# Of a file more rows at once are history, and not looked into.
MOST_ROWS = 200
_FILES = "csv/"
_PRICES = ("ticker", "price", "candle")


class _RawHead(msgspec.Struct):
    source: str
    dataset: str
    record_count: int = 0


_head = msgspec.json.Decoder(_RawHead)


def is_history(stream: str, page: UnifiedPage) -> bool:
    """Whether nothing in it is of now: a repair, a replay, the rows of a file."""
    is_again = page.republished or page.replay is not None
    return is_again or (
        stream.startswith(_FILES) and page.record_count > MOST_ROWS
    )


def of_now(page: UnifiedPage, came_s: float) -> Iterator[Point]:
    """`came_s`: the broker's time of the message, in seconds."""
    head = _head.decode(page.raw)
    for row in page.points.rows():
        at_s = _seconds(row.timestamp)
        if at_s is not None and abs(came_s - at_s) <= FRESH_S:
            yield _point(head, row, at_s)


def _point(head: _RawHead, row: UnifiedData, at_s: float) -> Point:
    symbols = row.symbols or ([row.symbol] if row.symbol else [])
    return Point(
        id=row.id,
        source=head.source,
        dataset=head.dataset,
        instrument=row.instrument or "",
        currency=row.currency or "",
        symbols=tuple(symbols),
        at_s=at_s,
        price=_price(row),
        sentiment=row.sentiment,
        title=row.title,
    )


def _seconds(timestamp: str) -> float | None:
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return None


def _price(row: UnifiedData) -> Decimal | None:
    text = row.price if row.price is not None else row.close
    return decimal(text) if text and row.kind in _PRICES else None
