"""Bodies of differences between runs, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field

PointTime = Annotated[
    datetime | None, Field(description="Of the data point; null: news")
]


class FieldChange(BaseModel):
    """One value before and after."""

    field: str
    old: Any
    new: Any


class DiffKind(StrEnum):
    """Where a data point is found."""

    ONLY_IN_A = "only_in_a"
    ONLY_IN_B = "only_in_b"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class RecordDifference(BaseModel):
    """One data point that two runs do not agree on.

    `fields` is empty where the values of a run are no longer kept.
    """

    id: str
    kind: DiffKind
    source: str
    stream: str
    timestamp: PointTime
    fields: list[FieldChange]


class RunDiff(BaseModel):
    """Two runs, data point by data point, by what each made of it."""

    run_a: str
    run_b: str
    counts: dict[DiffKind, int]
    by_source: dict[str, dict[DiffKind, int]]
    differences: list[RecordDifference]


class Digest(BaseModel):
    """A hash over (id, hash of the values) of all that a run yielded, in the order of the ids.

    Two machines that hold the same have the same.
    """

    run_id: str
    records: int = Field(description="Data points")
    sha256: str
