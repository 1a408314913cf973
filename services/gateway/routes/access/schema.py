"""Bodies about keys, as the OpenAPI document shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.gateway.schemas.body import PLAIN_NOTE, RequestBody
from shared.access.keys import MAX_PER_MINUTE, Scope

MAX_DAYS = 3_650


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 30.0 is a whole one."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


Days = Annotated[
    int, Field(ge=1, le=MAX_DAYS, strict=True), BeforeValidator(_whole)
]
PerMinute = Annotated[
    int,
    Field(ge=1, le=MAX_PER_MINUTE, strict=True),
    BeforeValidator(_whole),
]


class NewKey(RequestBody):
    """A key to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"scope": "read", "note": "dashboard", "days": 90}
            ]
        },
    )

    scope: Scope = Field(
        description="read: questions; operate: also runs, files, dead letters; admin: also keys"
    )
    note: str = Field(
        min_length=1,
        max_length=200,
        pattern=PLAIN_NOTE,
        description="Who has it, and for what",
    )
    days: Days | None = Field(
        default=None,
        description="After which it ends; null: never",
    )
    requests_per_minute: PerMinute | None = Field(
        default=None,
        description="Of each gateway; null: REQUESTS_PER_MINUTE of `.env`",
    )
    replaces: UUID | None = Field(
        default=None,
        description="The id of a key that it will replace: both count until that is revoked, and "
        "an Idempotency-Key means the same with both",
    )


class ApiKeyState(BaseModel):
    """A key without the key."""

    key_id: str
    scope: Scope
    note: str
    made_at: datetime
    made_by: str | None = Field(
        description="The id of a key; null: API_KEY"
    )
    replaces: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    requests_per_minute: int | None = Field(
        description="Of each gateway; null: REQUESTS_PER_MINUTE of `.env`"
    )
    last_used_at: datetime | None = Field(
        description="At any gateway, to within a minute; in what answers POST and DELETE at this "
        "one alone"
    )


class MadeKey(ApiKeyState):
    """A new key; it is shown this once."""

    key: str


class Me(BaseModel):
    """Who asks."""

    key_id: str | None = Field(description="null: API_KEY")
    scope: Scope
    note: str | None
    expires_at: datetime | None
    requests_per_minute: int | None = Field(
        description="Of its own; null: REQUESTS_PER_MINUTE of `.env`"
    )
