"""The normalizer's settings."""

from __future__ import annotations

from pydantic import Field

from shared.runtime.settings import CommonSettings


class NormalizerSettings(CommonSettings):
    """How many deliveries may be under way."""

    max_deliveries: int = Field(default=16, ge=1, le=256)
