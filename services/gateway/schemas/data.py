"""Bodies of data points, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field


class Kind(StrEnum):
    """What a data point is."""

    TICKER = "ticker"
    CANDLE = "candle"
    PRICE = "price"
    NEWS = "news"


class DataPoint(BaseModel):
    """One data point of the unified schema. Numbers are exact decimals.

    News have title, url, summary and sentiment; prices the rest.
    """

    id: str
    source: str
    dataset: str
    stream: str
    kind: Kind
    instrument: str | None
    symbol: str | None
    symbols: list[str] | None = Field(
        description="News: every coin that it is about"
    )
    interval: str | None
    timestamp: datetime = Field(description="When it happened, UTC")
    currency: str | None
    price: float | None
    open: float | None
    high: float | None
    low: float | None
    close: float | None
    volume: float | None
    market_cap: float | None
    title: str | None
    url: str | None
    summary: str | None
    sentiment: float | None = Field(
        description="−1 (negative) to 1 (positive)"
    )
    attributes: dict[str, Any] | None
    run_id: str
    page_id: str
    revision: int
    normalizer_version: int
    created_at: datetime
    updated_at: datetime
