"""Bodies of ingestion, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from services.gateway.schemas.body import RequestBody
from shared.messages.base import MAX_STREAM, Source
from shared.messages.runs import RunStatus

MAX_STREAMS = 500
EARLIEST = date(2009, 1, 1)  # before any coin was traded
_SOURCES = "|".join(Source)
_PREFIXES = ", ".join(f"{source}/" for source in Source)


# The pattern is documentation; the validator below says the same in words that help.
StreamName = Annotated[
    str,
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 3,
            "maxLength": MAX_STREAM,
            "pattern": rf"^({_SOURCES})/[^\x00-\x1f]+$",
        }
    ),
]


class IngestRequest(RequestBody):
    """What to ingest. Without a body: all that is configured, from each stream's cursor."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"sources": ["csv"]},
                {"from": "2024-01-01", "to": "2024-02-01"},
                {
                    "streams": ["coinpaprika/btc-bitcoin"],
                    "full_refresh": True,
                },
            ]
        },
    )

    sources: list[Source] | None = Field(
        default=None,
        max_length=100,
        description="Only these sources. Absent: all.",
    )
    streams: list[StreamName] | None = Field(
        default=None,
        max_length=MAX_STREAMS,
        description=(
            "Only these streams, such as `csv/btc-usd.csv`, `rss/coindesk` or "
            "`coinpaprika/btc-bitcoin`. Absent: every stream of the sources."
        ),
    )
    full_refresh: bool = Field(
        default=False,
        strict=True,
        description="Read every stream from its start, not from its cursor. Doubles nothing.",
    )
    start: date | None = Field(
        default=None,
        alias="from",
        description=(
            "History from this day on, of the sources that have one (CoinPaprika), instead of what "
            "is new; with `streams`: of those"
        ),
    )
    end: date | None = Field(
        default=None,
        alias="to",
        description="The day before which it ends. Absent: today",
    )

    @model_validator(mode="after")
    def _check_days(self) -> IngestRequest:
        today = datetime.now(UTC).date()
        if self.start is None:
            if self.end is not None:
                raise ValueError("`to` needs a `from`")
            return self
        end = self.end or today
        if not EARLIEST <= self.start < end <= today:
            raise ValueError(
                f"`from` must lie before `to`, and both between {EARLIEST} and today"
            )
        return self

    @field_validator("streams")
    @classmethod
    def _of_known_sources(
        cls, value: list[str] | None
    ) -> list[str] | None:
        for stream in value or []:
            _check_stream(stream)
        return None if value is None else list(dict.fromkeys(value))


def _check_stream(stream: str) -> None:
    source, slash, name = stream.partition("/")
    if not slash or source not in list(Source):
        message = f"{stream[:50]!r} is of no known source: a stream begins with {_PREFIXES}"
        raise ValueError(message)
    has_controls = any(character < " " for character in stream)
    if not name or len(stream) > MAX_STREAM or has_controls:
        raise ValueError(f"{stream[:50]!r} is not the name of a stream")


class IngestAccepted(BaseModel):
    """The run is queued; follow it at `links.self`."""

    run_id: str
    status: RunStatus
    requested_at: datetime
    sources: list[str] | None
    streams: list[str] | None
    full_refresh: bool
    links: dict[str, str]
