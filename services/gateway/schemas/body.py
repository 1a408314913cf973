"""What all bodies of requests share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

# Of a note: nothing that moves a cursor or turns what stands beside it, and something to read.
_HIDDEN = r"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
PLAIN = rf"^[^{_HIDDEN}]*$"
PLAIN_NOTE = rf"^[^{_HIDDEN}]*[^\s{_HIDDEN}][^{_HIDDEN}]*$"
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
