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


def utc(name: str, moment: datetime | None) -> datetime | None:
    """A time without a zone is UTC. Raises ProblemError 422 for one that UTC has no year for."""
    try:
        return moment if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ProblemError(422, f"query.{name}: out of range", errors=[{"field": f"query.{name}", "message": "out of range"}]) from None
