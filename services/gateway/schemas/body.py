"""What all bodies of requests share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

MAX_FIELDS = 50  # no body has so many; each unknown one is an error, which takes time


class RequestBody(BaseModel):
    """A body of known fields."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_few_fields(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise ValueError(
                f"has {len(value)} fields, at most {MAX_FIELDS} are read"
            )
        return value
