"""Times in requests and answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

from services.gateway.problems import field_problem


def _not_a_number(value: object) -> object:
    is_number = isinstance(value, str) and re.fullmatch(
        r"[-+]?\d+(\.\d*)?", value.strip()
    )
    if is_number:
        raise ValueError("write a time such as 2024-01-31T12:00:00Z")
    return value


Time = Annotated[datetime | None, BeforeValidator(_not_a_number)]


def now() -> str:
    """This moment, ISO 8601 UTC, as commands carry it."""
    return datetime.now(UTC).isoformat()


def to_seconds(moment: datetime) -> str:
    """A time for people, such as `2024-01-31T12:00:00Z`."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def as_utc(moment: datetime | None) -> datetime | None:
    """A time without a zone is UTC. Raises ValueError for one that UTC has no year for."""
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


def utc(name: str, moment: datetime | None) -> datetime | None:
    """As `as_utc`, for a parameter of this name. Raises ProblemError 422."""
    try:
        return as_utc(moment)
    except ValueError:
        raise field_problem(f"query.{name}", "out of range") from None
