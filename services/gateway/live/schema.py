"""What is asked about changes, and how it is answered, as the OpenAPI document shows it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from services.gateway.files.wanted import Format
from services.gateway.live.feed import NOW, OLDEST
from services.gateway.live.tokens import PATTERN, Place
from services.gateway.requests.filters import SeriesFilter
from services.gateway.requests.whole_numbers import InDigits
from services.gateway.schemas.data import DataPoint


class ChangeKind(StrEnum):
    """What became of a data point. restore: it was retired, and is in sight again."""

    INSERT = "insert"
    UPDATE = "update"
    RETIRE = "retire"
    RESTORE = "restore"


class ValueIs(StrEnum):
    """Of when the value is: that of the change, that of now, or gone (retired or removed since)."""

    THEN = "then"
    NOW = "now"
    GONE = "gone"


class ChangesQuery(SeriesFilter):
    """The parameters of GET /changes."""

    since: str = Field(
        OLDEST,
        pattern=PATTERN,
        description="`next` of an answer, `oldest` for all that are kept, or `now`",
    )
    limit: Annotated[int, InDigits] = Field(
        500,
        ge=1,
        le=1000,
        description="Changes that are looked at; those that match are answered",
    )
    format: Format = None

    def place(self) -> Place | str:
        """Raises ProblemError 422."""
        if self.since in (OLDEST, NOW):
            return self.since
        return Place.decode(self.since, "query.since")


class Change(BaseModel):
    """A change of one data point."""

    change: ChangeKind
    seq: int = Field(
        description="Its place; several data points that became visible at once share one"
    )
    at: datetime = Field(description="When it became visible")
    id: str
    value: ValueIs
    point: DataPoint | None = Field(
        description="null: it is retired, or gone"
    )


class Changes(BaseModel):
    """Changes in the order in which they became visible, each once."""

    changes: list[Change]
    next: str = Field(description="Give it as `since` to go on")
    is_last: bool = Field(
        description="Whether there are no more at the moment"
    )
