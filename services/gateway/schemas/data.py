"""Bodies of data points, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from shared.messages.points import TimestampIs


class Kind(StrEnum):
    """What a data point is."""

    TICKER = "ticker"
    CANDLE = "candle"
    PRICE = "price"
    NEWS = "news"


class DataPoint(BaseModel):
    """One data point of the unified schema. Numbers are exact decimals.

    News have title, url, summary and sentiment; prices the rest. docs/data-model.md.
    """

    id: str = Field(
        description="Its identity, the same however often it is read"
    )
    source: str = Field(
        description="Where it comes from: coinpaprika, csv …"
    )
    dataset: str = Field(
        description="Within a source: a folder of files, a feed, a kind of answers"
    )
    stream: str = Field(
        description="The file, feed or answer it was read from"
    )
    kind: Kind
    instrument: str | None = Field(
        description="What is priced: a coin's id, or a pair of a file"
    )
    symbol: str | None = Field(
        description="Of the coin, in lower case; of news the first that they are about"
    )
    symbols: list[str] | None = Field(
        description="News: every coin that it is about"
    )
    interval: str | None = Field(
        description="Of a candle, such as 1m, 1h, 1d, where it is known"
    )
    timestamp: datetime = Field(description="When it happened, UTC")
    timestamp_is: TimestampIs | None = Field(
        description="The begin or the end of its candle, or its moment; null: not known"
    )
    currency: str | None = Field(description="That prices are in")
    price: float | None = Field(description="Of a ticker or a price")
    open: float | None = Field(description="The first price of a candle")
    high: float | None = Field(
        description="The highest price of a candle"
    )
    low: float | None = Field(description="The lowest price of a candle")
    close: float | None = Field(description="The last price of a candle")
    volume: float | None = Field(
        description="What was traded: in the candle, or in 24 hours; as the source counts it"
    )
    base_volume: float | None = Field(
        description="The volume in the coin, where that is what it is counted in"
    )
    quote_volume: float | None = Field(
        description="The volume in `currency`, where that is what it is counted in"
    )
    market_cap: float | None = Field(description="In `currency`")
    title: str | None
    url: str | None
    summary: str | None
    sentiment: float | None = Field(
        description="−1 (negative) to 1 (positive); null where the language is not understood"
    )
    attributes: dict[str, Any] | None = Field(
        description="What the source says besides"
    )
    run_id: str = Field(description="The run that wrote it last")
    page_id: str = Field(description="The raw page it was read from last")
    revision: int = Field(description="1 for its first values")
    normalizer_version: int = Field(
        description="Of the mapping, see docs/mapping-versions.md"
    )
    created_at: datetime = Field(description="When it was first stored")
    updated_at: datetime = Field(
        description="Since when its values stand"
    )
