"""What is asked about news, and how it is answered, as the OpenAPI document shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from services.gateway.files.wanted import Format
from services.gateway.prices.intervals import PATTERN
from services.gateway.prices.schema import Zone
from services.gateway.requests.filters import NAME, SourceFilter
from services.gateway.requests.pagination import CURSOR
from services.gateway.requests.times import Time
from services.gateway.requests.whole_numbers import InDigits

_DELAY = r"[1-9][0-9]{0,2}[mhd]"


class OfCoin(SourceFilter):
    """News about a coin. The filters are those of news: a feed is a dataset."""

    symbol: str = Field(**NAME, description="Such as `btc`, in any case")
    start: Time = Field(None, alias="from", description="Included")
    end: Time = Field(None, alias="to", description="Not included")

    def coin(self) -> str:
        return self.symbol.lower()


class SentimentQuery(OfCoin):
    """The parameters of GET /sentiment."""

    interval: str = Field("1d", pattern=PATTERN)
    tz: Zone = "UTC"
    headlines: Annotated[int, InDigits] = Field(
        5, ge=0, le=20, description="Of each bar, those that say most"
    )
    order: Literal["asc", "desc"] = "asc"
    limit: Annotated[int, InDigits] = Field(100, ge=1, le=1000)
    format: Format = None


class Headline(BaseModel):
    """An article, with the words that its sentiment comes from and what they count."""

    id: str
    time: datetime
    feed: str
    title: str | None
    url: str | None
    sentiment: float | None
    words: dict[str, float] | None


class SentimentBar(BaseModel):
    """The news of one interval."""

    open_time: datetime
    close_time: datetime
    news: int
    scored: int = Field(description="Whose language is understood")
    mean: float | None = Field(
        description="Of those; −1 (negative) to 1 (positive)"
    )
    negative: int
    neutral: int
    positive: int
    feeds: int = Field(description="That reported")
    share_of_feeds: float | None = Field(
        description="Of those that reported in the whole range"
    )
    headlines: list[Headline]


class Sentiment(BaseModel):
    """How news about a coin feel."""

    symbol: str
    interval: str
    tz: str
    bars: list[SentimentBar]


class _Delays(OfCoin):
    impact: str = Field(
        "1h,4h,24h",
        pattern=rf"^{_DELAY}(,{_DELAY}){{0,4}}$",
        description="After how long, at most five",
    )
    currency: str | None = Field(
        None, **NAME, description="That prices are in"
    )

    def delays(self) -> list[str]:
        return list(dict.fromkeys(self.impact.split(",")))

    def values(self) -> dict[str, list[str] | None]:
        """The currency is that of prices: news have none."""
        return {**super().values(), "currency": None}


class NewsQuery(_Delays):
    """The parameters of GET /news."""

    limit: Annotated[int, InDigits] = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, **CURSOR)


class ImpactQuery(_Delays):
    """The parameters of GET /news/impact."""

    since: Literal["known", "published"] = Field(
        "known",
        description="Moves count from when this system knew the news, or from publication",
    )


class MoveAfter(BaseModel):
    """The price at a moment, and how the same series moved after it."""

    price: float | None = Field(
        description="An exact decimal; null: none within an hour before"
    )
    currency: str | None
    time: datetime | None = Field(description="Since when it was known")
    move_percent: dict[str, float | None] = Field(
        description="By delay; null: there is no price of then, or not yet"
    )


class News(BaseModel):
    """An article and what the price did after it."""

    id: str
    published_at: datetime
    known_at: datetime = Field(
        description="When this system had it first; nobody could act on it before"
    )
    title: str | None
    url: str | None
    feed: str
    symbols: list[str]
    sentiment: float | None
    since_known: MoveAfter
    since_published: MoveAfter


class MoodImpact(BaseModel):
    """Moves after news of one sentiment, after one delay."""

    sentiment: Literal["negative", "neutral", "positive", "unknown"]
    delay: str
    news: int
    moves: int = Field(description="Of how many there is a price")
    mean_percent: float | None
    median_percent: float | None


class Impact(BaseModel):
    """What prices did after news, by their sentiment."""

    symbol: str
    since: str
    news: int
    first: datetime | None
    last: datetime | None
    impact: list[MoodImpact]
