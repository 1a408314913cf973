"""Bodies of requests and answers about dead letters."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.gateway.requests.pagination import CURSOR
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.body import RequestBody
from shared.messages.base import Stage
from shared.messages.commands import DeadLetterFilter
from shared.messages.runs import DeadLetterStatus

_ABSENT: Any = None  # a field that was left out
Text = Annotated[
    str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]+$")
]
Note = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]+$",
        description="Why it is closed",
    ),
]


class LetterStatus(StrEnum):
    """State of a dead letter.

    open: nobody has looked at it. requeued: processed again, in `requeued_run_id`. discarded:
    closed with a note. preview: of a replay that is not published.
    """

    OPEN = DeadLetterStatus.OPEN
    REQUEUED = DeadLetterStatus.REQUEUED
    DISCARDED = DeadLetterStatus.DISCARDED
    PREVIEW = DeadLetterStatus.PREVIEW


class LetterQuery(BaseModel):
    """Which dead letters. All that is given must match."""

    status: LetterStatus | None = None
    source: Text | None = None
    stream: Text | None = None
    stage: Stage | None = Field(None, description="Where it was rejected")
    reason: Text | None = Field(
        None, description="Such as `invalid_number`"
    )
    run_id: uuid.UUID | None = None
    limit: Annotated[int, InDigits] = Field(100, ge=1, le=1000)
    cursor: str | None = Field(None, **CURSOR)


class DeadLetter(BaseModel):
    """A record, page or message that could not be processed, with its origin.

    `count` > 1: so many records failed alike, in one page or again and again; run and place are
    those of the last time.
    """

    id: str
    status: LetterStatus
    stage: Stage
    reason: str
    message: str
    field: str | None
    count: int
    source: str | None
    stream: str | None
    run_id: str | None = Field(description="The last run that met it")
    first_run_id: str | None
    count_in_run: int | None = Field(
        description="With `run_id`: how often that run met it"
    )
    last_seen_at: datetime | None
    event_time: datetime | None = Field(
        description="Of the record, where it could be read"
    )
    page_id: str | None
    record_index: int | None = Field(description="Its place in the page")
    origin: dict[str, Any] | None = Field(
        description="Row and line of a file, or the entry of a feed"
    )
    topic: str | None
    partition: int | None
    offset: int | None
    payload_sha256: str | None
    created_at: datetime
    note: str | None
    requeued_run_id: str | None
    closed_at: datetime | None


class DeadLetterDetail(DeadLetter):
    """With the first 64 KiB of its payload."""

    payload: str | None


class _Selection(RequestBody):
    # A field is given or left out; `null` would say nothing.
    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    ids: list[uuid.UUID] = Field(
        default=_ABSENT, min_length=1, max_length=1_000
    )
    run_id: uuid.UUID = Field(default=_ABSENT)
    source: Text = Field(default=_ABSENT)
    stream: Text = Field(default=_ABSENT)
    stage: Stage = Field(default=_ABSENT)
    reason: Text = Field(default=_ABSENT)
    all: Literal[True] = Field(
        default=_ABSENT, description="Every open dead letter"
    )

    @model_validator(mode="after")
    def _names_some(self) -> Self:
        if not self.model_fields_set - {"note"}:
            raise ValueError(
                "say which dead letters: ids, run_id, source, stream, stage, reason, or all: true"
            )
        return self

    def filter(self) -> DeadLetterFilter:
        """As the command carries it."""
        return DeadLetterFilter(
            ids=None
            if self.ids is None
            else [str(each) for each in self.ids],
            run_id=None if self.run_id is None else str(self.run_id),
            source=self.source,
            stream=self.stream,
            stage=self.stage,
            reason=self.reason,
        )


class RequeueMany(_Selection):
    """Open dead letters to process again. All that is given must match."""


class Discard(RequestBody):
    """Why a dead letter is closed."""

    note: Note


class DiscardMany(_Selection):
    """Open dead letters to close. All that is given must match."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    note: Note


class DiscardAccepted(BaseModel):
    """It is done in the background."""

    status: str = "discarding"
    note: str
