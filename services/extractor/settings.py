"""The extractor's settings."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pydantic import BaseModel, Field, SecretStr, field_validator

from shared.access.settings import SigningSettings
from shared.configuration.forecast import calls_a_month, shortage
from shared.configuration.settings import Schedule
from shared.csvfile.places.settings import PlaceSettings

_DEFAULT_FEEDS = (
    ("coindesk", "https://www.coindesk.com/arc/outboundfeeds/rss/"),
    ("cointelegraph", "https://cointelegraph.com/rss"),
    ("decrypt", "https://decrypt.co/feed"),
    ("theblock", "https://www.theblock.co/rss.xml"),
    ("bitcoinmagazine", "https://bitcoinmagazine.com/feed"),
)


class Feed(BaseModel, frozen=True):
    """A feed to read: `name` becomes the stream `rss/<name>` and the dataset."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    url: str

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        if not re.match(r"^https?://[^/\s]+", value):
            raise ValueError("must be an http:// or https:// address")
        return value


_CURRENCY = re.compile(r"[A-Za-z]{2,10}")


class ExtractorSettings(SigningSettings, PlaceSettings):
    """Sources, limits and how much is done at a time."""

    coinpaprika_api_url: str = Field(
        default="https://api.coinpaprika.com/v1",
        pattern=r"^https?://[^/\s]+",
    )
    coin_ids: list[str] = Field(default=["btc-bitcoin", "eth-ethereum"])
    coinpaprika_api_key: SecretStr = SecretStr("")
    coinpaprika_quotes: list[str] = Field(
        default=["USD"], min_length=1, max_length=3
    )
    coinpaprika_calls_per_second: float = Field(default=10, gt=0, le=1000)
    coinpaprika_calls_per_month: int = Field(
        default=20_000, ge=0
    )  # the free plan's; 0: no limit
    coingecko_api_url: str = Field(
        default="https://api.coingecko.com/api/v3",
        pattern=r"^https?://[^/\s]+",
    )
    coingecko_ids: list[str] = Field(default=[])
    rss_feeds: list[Feed] = Field(
        default=[Feed(name=name, url=url) for name, url in _DEFAULT_FEEDS]
    )
    allow_private_urls: bool = False
    ingest_every_s: int = Field(
        default=0, ge=0, le=86_400
    )  # 0: only when asked
    task_concurrency: int = Field(default=4, ge=1, le=64)
    max_waiting_pages: int = Field(
        default=200, ge=2
    )  # per partition, before a stream pauses
    spread_from_page: int = Field(
        default=64, ge=0
    )  # of a task; 0: a stream keeps to one partition
    http_attempts: int = Field(default=3, ge=1, le=10)
    http_timeout_s: float = Field(
        default=60, gt=0
    )  # of one request with its retries
    http_max_bytes: int = Field(
        default=20 * 1024 * 1024, ge=1024
    )  # after decompression

    def forecast(self) -> str | None:
        """A sentence where INGEST_EVERY_S needs more calls than the plan has."""
        if not self.ingest_every_s:
            return None
        schedule = Schedule(every_s=self.ingest_every_s)
        needed = calls_a_month(
            [schedule], self.coin_ids, datetime.now(UTC)
        )
        what = f"INGEST_EVERY_S={self.ingest_every_s}"
        return shortage(needed, self.coinpaprika_calls_per_month, what)

    @field_validator("coin_ids", "coingecko_ids")
    @classmethod
    def _coins(cls, value: list[str]) -> list[str]:
        if "*" in value and len(value) > 1:
            raise ValueError('"*" stands for all coins and stands alone')
        for coin in value:
            if coin != "*" and not re.match(
                r"^[^\s/?#\x00-\x1f]{1,100}$", coin
            ):
                example = (
                    "btc-bitcoin (CoinPaprika) or bitcoin (CoinGecko)"
                )
                raise ValueError(
                    f"{coin!r} is not an id such as {example}"
                )
        return list(dict.fromkeys(value))

    @field_validator("ingest_every_s")
    @classmethod
    def _not_too_often(cls, value: int) -> int:
        if 0 < value < 10:
            raise ValueError("must be 0 (only when asked) or at least 10")
        return value

    @field_validator("coinpaprika_quotes")
    @classmethod
    def _currencies(cls, value: list[str]) -> list[str]:
        for currency in value:
            if not _CURRENCY.fullmatch(currency):
                message = "is not a currency such as USD, EUR or BTC"
                raise ValueError(f"{currency!r} {message}")
        return list(dict.fromkeys(map(str.upper, value)))

    @field_validator("rss_feeds")
    @classmethod
    def _names_differ(cls, value: list[Feed]) -> list[Feed]:
        names = [feed.name for feed in value]
        if len(set(names)) < len(names):
            raise ValueError("two feeds have the same name")
        return value
