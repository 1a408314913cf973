"""Bodies of checkpoints, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.gateway.schemas.body import RequestBody


class Place(BaseModel):
    """A place in ingest.raw."""

    partition: int
    offset: int


class CheckpointState(BaseModel):
    """Where a stream stands: read up to `cursor`, published and loaded up to which page."""

    stream: str
    source: str
    cursor: Any = Field(
        description="Where the source goes on; null: at its start"
    )
    published: Place = Field(
        description="The last page that was published; offset −1: none yet"
    )
    loaded: Place | None = Field(
        description="The last page that was loaded"
    )
    loaded_at: datetime | None
    moved_at: datetime | None = Field(
        description="When the checkpoint was written"
    )
    age_seconds: float | None = Field(description="Since then")
    run_id: str | None = Field(
        description="The run that is reading the stream now"
    )


class NewCursor(RequestBody):
    """Where to read a stream from: a cursor as `GET /checkpoints` shows it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cursor": {"page": 3}}]},
    )

    cursor: dict[str, Any]
