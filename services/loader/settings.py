"""The loader's settings."""

from __future__ import annotations

from pydantic import Field

from services.loader.retention import Span
from shared.runtime.settings import CommonSettings


class LoaderSettings(CommonSettings):
    """How much is written in one transaction, and when a run is taken care of."""

    batch_pages: int = Field(default=10, ge=1, le=500)
    sweep_interval_s: float = Field(default=2.0, gt=0)
    incomplete_after_s: float = Field(default=600.0, gt=0)
    repair_after_s: float = Field(default=60.0, gt=0)  # a run in which nothing moves is looked through for what is lost
    reject_limit_pages: int = Field(
        default=20, ge=1
    )  # so many pages rejected whole in a row stop a task; no task is stopped before it has as many
    reject_limit_share: float = Field(default=0.9, gt=0, le=1)  # so large a part of its records rejected stops a task
    raw_retention: Span = None  # raw pages older than this are removed; None: never
    revisions_retention: Span = None  # as are replaced values
