"""The loader's settings."""

from __future__ import annotations

from pydantic import Field

from shared.settings import CommonSettings


class LoaderSettings(CommonSettings):
    """How much is written in one transaction."""

    batch_pages: int = Field(default=10, ge=1, le=500)
    sweep_interval_s: float = Field(default=2.0, gt=0)
    incomplete_after_s: float = Field(default=600.0, gt=0)
