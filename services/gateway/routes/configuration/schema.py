"""Bodies about what is configured, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from services.gateway.schemas.body import PLAIN, RequestBody
from shared.configuration.settings import MAX_COINS, MAX_STREAMS, Missed
from shared.messages.base import Source

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
Note = Annotated[str, StringConstraints(max_length=200, pattern=PLAIN)]
CoinId = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=100, pattern=r"^[^\s/?#\x00-\x1f]+$"
    ),
]
Stream = Annotated[
    str, StringConstraints(min_length=1, max_length=1_000, pattern=PLAIN)
]


_ADDRESS = r"^https?://[^/\s?#\x00-\x1f][^\s\x00-\x1f]*$"


def _can_be_asked(address: str) -> str:
    """Raises ValueError for one that no client can connect to."""
    parts = urlsplit(address)
    if not parts.hostname or parts.port == 0:
        raise ValueError("it has no host, or no port that can be used")
    return address


Address = Annotated[
    str,
    AfterValidator(_can_be_asked),
    StringConstraints(max_length=1_000, pattern=_ADDRESS),
    # The document would not show what comes after a function.
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": 1_000,
            "pattern": _ADDRESS,
        }
    ),
]


class Origin(StrEnum):
    """Where a value stands: in `.env`, or set at run time above it."""

    ENV = "env"
    RUN_TIME = "run_time"


class Origined(BaseModel):
    """Something configured. `changed_at`, `changed_by`: of the last change at run time."""

    origin: Origin
    changed_at: datetime | None
    changed_by: str | None = Field(
        description="The id of a key; null: API_KEY, or never"
    )


class ConfiguredItem(Origined):
    """One setting as it counts now, and what `.env` says of it."""

    name: str
    value: Any
    env_value: Any


class NewFeed(RequestBody):
    """The address of a feed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://decrypt.co/feed"}]
        },
    )

    url: Address


class FeedState(Origined):
    """A feed that is read as the stream `rss/<name>`. The address without secrets."""

    name: str
    stream: str
    url: str
    paused: str | None = Field(description="Why it is not read")


class Opml(BaseModel):
    """What became of a list of feeds."""

    added: list[str]
    known: list[str] = Field(description="Whose address is read already")
    refused: list[str] = Field(description="Why, one line each")


class NewCoins(RequestBody):
    """Coins by the ids of their source."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"ids": ["btc-bitcoin", "eth-ethereum"]}]
        },
    )

    ids: Annotated[list[CoinId], Field(max_length=MAX_COINS)] = Field(
        description='`["*"]`: all, of CoinPaprika'
    )


class Forecast(BaseModel):
    """CoinPaprika's calls in 30 days, with all schedules as they are now."""

    calls_a_month: int
    per_month: int | None = Field(
        description="What the plan has, as far as it is known"
    )
    warning: str | None


class CoinsState(Origined):
    """The coins of a source."""

    source: str
    ids: list[str]
    forecast: Forecast | None


class NewPause(RequestBody):
    """Why something is paused."""

    note: Note = ""


class PauseState(Origined):
    """What is not read until it is resumed."""

    what: str
    note: str


class NewSchedule(RequestBody):
    """When to ingest what: either `cron` or `every_s`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "cron": "0 7 * * 1-5",
                    "timezone": "Europe/Berlin",
                    "sources": ["rss"],
                }
            ]
        },
    )

    cron: (
        Annotated[str, StringConstraints(max_length=200, pattern=PLAIN)]
        | None
    ) = Field(
        default=None,
        description="Minute, hour, day of the month, month, day of the week",
    )
    timezone: Annotated[
        str, StringConstraints(max_length=64, pattern=PLAIN)
    ] = Field(default="UTC", description="Of the cron")
    every_s: Annotated[int, Field(ge=10, le=31_536_000)] | None = None
    sources: Annotated[list[Source], Field(max_length=20)] | None = Field(
        default=None, description="null: all"
    )
    streams: (
        Annotated[list[Stream], Field(max_length=MAX_STREAMS)] | None
    ) = None
    history_days: Annotated[int, Field(ge=1, le=3660)] | None = Field(
        default=None,
        description="The days before, in place of what is current",
    )
    missed: Missed = Field(
        default=Missed.ONCE,
        description="Of times at which nobody could ask: skip them, or make up for the last once",
    )
    note: Note = ""


class LastRun(BaseModel):
    """The newest run that a schedule asked for, as far as it is stored."""

    run_id: str
    status: str
    requested_at: datetime | None


class ScheduleState(Origined):
    """A schedule, when it is due next, and what became of it last."""

    name: str
    cron: str | None
    timezone: str
    every_s: int | None
    sources: list[str] | None
    streams: list[str] | None
    history_days: int | None
    missed: Missed
    note: str
    next: list[datetime] = Field(description="The next three times")
    paused: str | None = Field(description="Why it does not ask")
    last_run: LastRun | None
    forecast: Forecast


class AuditEntry(BaseModel):
    """Who asked for what. `before` and `after`: of a setting or key; of a command its content."""

    id: int
    at: datetime
    asked_by: str | None = Field(
        description="API_KEY, the id of a key, or `schedule/<name>`"
    )
    action: str
    subject: str = Field(
        description="A run's id, `key/<id>`, or a setting's name"
    )
    before: Any
    after: Any
