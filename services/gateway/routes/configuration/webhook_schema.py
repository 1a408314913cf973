"""Bodies about webhooks, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.gateway.routes.configuration.schema import (
    Address,
    Note,
    Origined,
)
from services.gateway.schemas.body import RequestBody
from shared.configuration.settings import (
    MAX_CONDITIONS,
    MAX_WINDOW_S,
    Direction,
    Event,
)
from shared.messages.base import Source

Symbol = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=50,
        pattern=r"^[^\s\x00-\x1f]+$",
        to_lower=True,
    ),
]
Exact = Annotated[
    str,
    StringConstraints(
        max_length=40, pattern=r"^[0-9]{1,20}(\.[0-9]{1,18})?$"
    ),
]


class PriceCrosses(RequestBody):
    """A price goes above or below another."""

    type: Literal["PriceCrosses"]
    symbol: Symbol
    price: Exact
    direction: Direction


class PriceChanges(RequestBody):
    """A price moves by so many percent within a time, up or down; told once in that time."""

    type: Literal["PriceChanges"]
    symbol: Symbol
    percent: Annotated[float, Field(gt=0, le=10_000, strict=True)]
    within_s: Annotated[int, Field(ge=60, le=MAX_WINDOW_S, strict=True)]


class MoodIs(RequestBody):
    """A piece of news is at least so good (from 0 up), or at least so bad."""

    type: Literal["MoodIs"]
    symbol: Symbol
    sentiment: Annotated[float, Field(ge=-1, le=1, strict=True)]


class IsStale(RequestBody):
    """A source was read by no task without an error for so long."""

    type: Literal["IsStale"]
    source: Source
    after_s: Annotated[int, Field(ge=60, le=30 * 86_400, strict=True)]


Condition = Annotated[
    PriceCrosses | PriceChanges | MoodIs | IsStale,
    Field(discriminator="type"),
]


class NewWebhook(RequestBody):
    """Where to tell what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://example.org/hook",
                    "events": ["run.failed", "stream.failed"],
                    "conditions": [
                        {
                            "type": "PriceCrosses",
                            "symbol": "btc",
                            "price": "100000",
                            "direction": "above",
                        }
                    ],
                }
            ]
        },
    )

    url: Address
    events: Annotated[list[Event], Field(max_length=10)] = Field(
        default=[]
    )
    conditions: Annotated[
        list[Condition], Field(max_length=MAX_CONDITIONS)
    ] = Field(default=[])
    sources: Annotated[list[Source], Field(max_length=20)] | None = Field(
        default=None,
        description="Only points and streams of these; null: of all",
    )
    note: Note = ""
    rotate: bool = Field(
        strict=True,
        default=False,
        description="Whether it gets another secret",
    )


class WebhookState(Origined):
    """A webhook without its secret. The address without those that it may hold."""

    name: str
    url: str
    events: list[Event]
    conditions: list[dict[str, Any]]
    sources: list[str] | None
    note: str


class MadeWebhook(WebhookState):
    """With the secret, which is shown this once."""

    secret: str


class TrialSent(BaseModel):
    """What was told, by its `webhook-id`."""

    id: str


class Delivery(BaseModel):
    """What was told, and what came of the last attempt."""

    id: str = Field(description="The header `webhook-id`")
    type: str
    url: str
    data: dict[str, Any]
    created_at: datetime
    attempts: int
    status: int | None = Field(description="Of the answer")
    error: str | None = Field(description="Why there was none")
    tried_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
