"""The loader's settings."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from shared.access.settings import SigningSettings
from shared.messages.topics import MAX_PARTITIONS
from shared.runtime import database_url
from shared.runtime.settings import (
    Role,
    role_dsn,
)

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _span(value: Any) -> Any:
    if value in (None, ""):
        return None
    found = re.fullmatch(r"(\d{1,5})([mhd])", str(value))
    if found is None or int(found[1]) == 0:
        raise ValueError(
            f"{value!r} is not a span of time: write a number and m, h or d, "
            "such as 30d; empty keeps everything"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


Span = Annotated[timedelta | None, BeforeValidator(_span)]


class LoaderSettings(SigningSettings):
    """How much is written in one transaction, and when a run is looked after."""

    # Of each topic along the path of a page; None: as many as there are.
    partitions: int | None = Field(default=None, ge=1, le=MAX_PARTITIONS)
    batch_pages: int = Field(default=6, ge=1, le=500)
    sweep_interval_s: float = Field(default=2.0, gt=0)
    incomplete_after_s: float = Field(default=600.0, gt=0)
    # A run in which nothing moves is looked through for what is lost.
    repair_after_s: float = Field(default=60.0, gt=0)
    # So many pages rejected whole in a row stop a task; none is stopped before it has as many.
    reject_limit_pages: int = Field(default=20, ge=1)
    reject_limit_share: float = Field(
        default=0.9, gt=0, le=1
    )  # of a task's records, stops it
    raw_retention: Span = (
        None  # raw pages older than this are removed; None: never
    )
    revisions_retention: Span = None  # as are replaced values
    points_retention: Span = None  # as are data points of an older time
    # What changed, in order.
    changes_retention: Span = Field(default="30d")  # type: ignore[assignment]
    runs_retention: Span = None  # as are runs of which nothing is kept

    audit_retention: Span = None  # as is who asked for what

    def writer_url(self) -> str:
        """The URL of the role that writes, for SQLAlchemy."""
        return database_url.for_sqlalchemy(role_dsn(self, Role.LOADER))
