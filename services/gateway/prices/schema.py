"""What is asked about prices, and how it is answered, as the OpenAPI document shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from services.gateway.files.wanted import Format
from services.gateway.prices.bars import Fill
from services.gateway.prices.intervals import PATTERN
from services.gateway.requests.filters import (
    NAME,
    CoinFilter,
    IntervalFilter,
    SeriesFilter,
)
from services.gateway.requests.times import Time, only_text, text_or_none
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.body import RequestBody
from services.gateway.schemas.data import Kind
from shared.messages.base import Source
from shared.messages.points import TimestampIs

ALL = "all"
MAX_BARS = 5_000
MAX_PAIRS = 10_000
MAX_COINS = 200
# But those that are none: the server's own, and one that says so.
_ZONES = frozenset(available_timezones()) - {"localtime", "Factory"}


def _known_zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError(
            "is no time zone: use a name such as Europe/Berlin"
        )
    return name


Zone = Annotated[
    str,
    Field(
        max_length=50,
        description="Whose calendar days, weeks and months are, such as `Europe/Berlin`",
    ),
    AfterValidator(_known_zone),
]
Moment = Annotated[datetime, BeforeValidator(only_text)]


class OhlcvQuery(CoinFilter):
    """The parameters of GET /ohlcv. One of `symbol`, `instrument` and `dataset` is needed."""

    interval: str = Field(
        pattern=PATTERN,
        description="Such as `1m`, `15m`, `4h`, `1d`, `1w`, `1M` (months), or a multiple",
    )
    dataset: str | None = Field(
        None,
        **NAME,
        description="Whose figures; `all`: bars of each series that fits",
    )
    start: Time = Field(
        None,
        alias="from",
        description="Only bars that begin at this time or later",
    )
    end: Time = Field(
        None,
        alias="to",
        description="Only bars that begin before this time",
    )
    fill: Fill = Field(
        Fill.NONE,
        description=(
            "Bars in which nothing was traded are left out, are null, or have the previous close"
        ),
    )
    as_of: Time = Field(
        None, description="Made of the data as they were at this time"
    )
    order: Literal["asc", "desc"] = "asc"
    tz: Zone = "UTC"
    limit: Annotated[int, InDigits] = Field(
        500, ge=1, le=MAX_BARS, description="Bars of each series"
    )
    format: Format = None

    def values(self) -> dict[str, list[str] | None]:
        found = super().values()
        if self.dataset == ALL:
            found["dataset"] = None
        return found


class Bar(BaseModel):
    """One bar. Numbers are exact decimals."""

    open_time: datetime = Field(description="Its begin")
    close_time: datetime = Field(
        description="Its end, which belongs to the next one"
    )
    open: float | None = Field(
        description="The first price",
    )
    high: float | None = Field(
        description="The highest price",
    )
    low: float | None = Field(
        description="The lowest price",
    )
    close: float | None = Field(
        description="The last price",
    )
    volume: float | None = Field(
        description="Of candles that all say it; a ticker's 24 hours never add up"
    )
    base_volume: float | None = Field(description="In the coin")
    quote_volume: float | None = Field(description="In `currency`")
    points: int = Field(description="Data points that it is made of")
    complete: bool | None = Field(
        description="Whether none of its candles is missing; null: of sampled prices nobody knows"
    )


class NamedSeries(BaseModel):
    """Series that differ in their stream alone, such as files of one market, are one here."""

    ids: list[int] = Field(
        description="Of its parts, which `GET /series/{id}` shows at length",
    )
    source: Source = Field(
        description="Where it comes from",
    )
    dataset: str = Field(
        description="A folder of files, or a kind of answers",
    )
    kind: Kind = Field(
        description="What its data points are",
    )
    instrument: str | None = Field(
        description="What is priced: a coin's id, or a pair of a file",
    )
    symbol: str | None = Field(
        description="Of the coin, in lower case",
    )
    interval: str | None = Field(
        description="Of its candles, where that is known",
    )
    currency: str | None = Field(
        description="That its prices are in",
    )
    timestamp_is: TimestampIs | None = Field(
        description="null: not known, and taken for the begin of a candle",
    )


class BarsOfSeries(NamedSeries):
    """A series and its bars."""

    basis: Literal["candles", "sampled"] = Field(
        description="Made of candles of a finer interval, or of prices as they were read"
    )
    bars: list[Bar]


class Ohlcv(BaseModel):
    """Bars, and which series they were made of."""

    interval: str = Field(
        description="Of the bars",
    )
    tz: str = Field(
        description="Whose calendar they follow",
    )
    rule: str = Field(
        description="How the series was chosen, where several match"
    )
    series: list[BarsOfSeries]
    others: list[NamedSeries] = Field(
        description="Series that match and were not chosen, the first 20"
    )


class AgreementQuery(CoinFilter):
    """The parameters of GET /agreement. One of `symbol` and `instrument` is needed."""

    symbol: str | None = Field(
        None, **NAME, description="One, such as `btc`, in any case"
    )
    interval: str = Field(
        "1h",
        pattern=PATTERN,
        description="Prices are compared at the end of each",
    )
    start: Time = Field(None, alias="from", description="Included")
    end: Time = Field(None, alias="to", description="Not included")
    threshold_percent: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Prices this far apart still agree",
    )
    order: Literal["asc", "desc"] = "asc"
    limit: Annotated[int, InDigits] = Field(
        500, ge=1, le=MAX_BARS, description="Moments that are looked at"
    )

    def symbols(self) -> list[str] | None:
        return None if self.symbol is None else [self.symbol.lower()]


class ComparedPrice(BaseModel):
    """What a series says at a moment."""

    series: int = Field(description="Its place in `series`")
    price: float = Field(description="An exact decimal")
    id: str = Field(description="The data point that says it")
    seconds_before: float = Field(
        description="How long before the moment it was known"
    )
    deviation_percent: float = Field(
        description="From the median of all at that moment"
    )


class WorstPrice(ComparedPrice):
    """The price that lies furthest from the others."""

    time: datetime


class ComparedSeries(NamedSeries):
    """A series, and how far it lies from the others."""

    compared: int = Field(
        description="Moments at which it and another have a price"
    )
    mean_deviation_percent: float | None
    worst: WorstPrice | None
    outliers: int


class ComparedMoment(BaseModel):
    """A moment at which at least two series have a price."""

    time: datetime
    spread_percent: float | None = Field(
        description="From the least price to the greatest; null: the least is 0"
    )
    agree: bool
    prices: list[ComparedPrice]
    outliers: list[str] = Field(
        description="Data points further from the median than the threshold, of three or more"
    )


class SourcesAgreement(BaseModel):
    """Sources side by side."""

    interval: str
    currency: str | None = Field(
        description="That all prices are in; without `currency` the one that most series have"
    )
    other_currencies: list[str | None] = Field(
        description="Not compared: nobody knows the rate"
    )
    within_seconds: int = Field(
        description="A price that was known longer before the moment does not count"
    )
    threshold_percent: float
    series: list[ComparedSeries]
    compared: int = Field(description="How many moments")
    agreed: int = Field(description="At how many of them all agree")
    worst: ComparedMoment | None = Field(
        description="With the greatest spread"
    )
    moments: list[ComparedMoment]


class PriceQuery(IntervalFilter):
    """The parameters of GET /price."""

    symbol: str = Field(**NAME, description="Such as `btc`, in any case")
    moment: Time = Field(
        None, alias="at", description="When; without it, now"
    )
    as_of: Time = Field(
        None, description="By the data as they were at this time"
    )

    def values(self) -> dict[str, list[str] | None]:
        return {"symbol": [self.symbol.lower()], **super().values()}


class PricesBody(RequestBody, IntervalFilter):
    """Which prices, of which series."""

    pairs: list[tuple[Annotated[str, Field(**NAME)], Moment]] = Field(
        min_length=1,
        max_length=MAX_PAIRS,
        description='Symbols and times, such as `[["btc", "2024-01-31T12:00:00Z"]]`',
    )
    as_of: Annotated[datetime | None, BeforeValidator(text_or_none)] = (
        Field(None, description="By the data as they were at this time")
    )


class PriceAt(BaseModel):
    """The last price that was known at a moment."""

    symbol: str = Field(
        description="As it was asked for",
    )
    at: datetime = Field(description="The moment that was asked for")
    price: float | None = Field(
        description="An exact decimal; null: none was known"
    )
    currency: str | None = Field(
        description="That the price is in",
    )
    time: datetime | None = Field(
        description="Since when it was known: the end of a candle, the moment of a price"
    )
    seconds_before: float | None = Field(
        description="How long before `at` that was"
    )
    id: str | None = Field(description="The data point that says it")
    series: NamedSeries | None = Field(
        description="That it comes from",
    )


class LatestQuery(SeriesFilter):
    """The parameters of GET /latest."""

    limit: Annotated[int, InDigits] = Field(100, ge=1, le=MAX_COINS)
    skip: Annotated[int, InDigits] = Field(0, ge=0, le=2**31 - 1)


class Agreement(BaseModel):
    """How prices of other series, at most an hour apart, compare."""

    series: int = Field(description="With this one")
    spread_percent: float | None = Field(
        description="From the least price to the greatest; null: the least is 0"
    )
    agree: bool = Field(description="Whether that is at most one percent")


class LatestPrice(BaseModel):
    """The newest price of a coin. Numbers are exact decimals, changes are rounded."""

    symbol: str = Field(
        description="Of the coin, in lower case",
    )
    price: float = Field(
        description="The last one that is known",
    )
    currency: str | None = Field(
        description="That the price is in",
    )
    time: datetime = Field(
        description="Since when it is known: the end of a candle, the moment of a price"
    )
    age_seconds: int = Field(
        description="How long that is ago",
    )
    id: str = Field(description="The data point that says it")
    series: NamedSeries = Field(
        description="Of those of the coin the one with the newest price"
    )
    change_1h_percent: float | None = Field(
        description="Since an hour before `time`; null: no price of about then is known"
    )
    change_24h_percent: float | None = Field(
        description="The same of a day",
    )
    change_7d_percent: float | None = Field(
        description="The same of a week",
    )
    sparkline: list[float | None] = Field(
        description="Every six hours of the seven days up to `time`, the last is `price`"
    )
    agreement: Agreement | None = Field(
        description="null: no other series has a price of that time in this currency"
    )
    market_cap: float | None = Field(
        description="In `currency`",
    )
    volume: float | None = Field(
        description="Of a ticker in 24 hours, of a candle in its interval"
    )
    base_volume: float | None = Field(description="In the coin")
    quote_volume: float | None = Field(description="In `currency`")
    sentiment: float | None = Field(
        description="The mean of the news of 24 hours up to `time`"
    )
    news: int = Field(description="How many they are")
