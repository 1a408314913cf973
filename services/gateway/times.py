"""Times in requests."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

from services.gateway.problems import ProblemError


def _no_number(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d*)?", value.strip()):
        raise ValueError("write a time such as 2024-01-31T12:00:00Z")
    return value


Time = Annotated[datetime | None, BeforeValidator(_no_number)]


def now() -> str:
    """This moment, ISO 8601 UTC, as commands carry it."""
    return datetime.now(UTC).isoformat()


def as_utc(moment: datetime | None) -> datetime | None:
    """A time without a zone is UTC. Raises ValueError for one that UTC has no year for."""
    try:
        return moment if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def utc(name: str, moment: datetime | None) -> datetime | None:
    """As `as_utc`, for a parameter of this name. Raises ProblemError 422."""
    try:
        return as_utc(moment)
    except ValueError:
        raise ProblemError(422, f"query.{name}: out of range", errors=[{"field": f"query.{name}", "message": "out of range"}]) from None
