"""Times in requests and answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator

from services.gateway.problems import field_problem

_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")
# In an address a `+` that is not written as %2B arrives as a space.
_LOST_PLUS = re.compile(r"(?<=\d) (?=\d\d:?\d\d$)")
_CLOCK = re.compile(r"\d[T ]\d\d:\d\d")
_OFFSET = '+00:00"'
# A quote within a text stands behind a backslash.
_TIME = re.compile(
    r'"(?:timestamp|created_at|updated_at|at)" ?: ?"[0-9T:.\-]{19,26}\Z'
)
_LONGEST_TIME = len('"created_at" : "2024-01-01T00:00:00.000000')


def as_meant(value: object) -> object:
    """A text as a time may be written in an address. Raises ValueError for a bare number."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _NUMBER.fullmatch(text):
        raise ValueError("write a time such as 2024-01-31T12:00:00Z")
    return _LOST_PLUS.sub("+", text) if _CLOCK.search(text) else text


def only_text(value: object) -> object:
    """A time in JSON; a number would count as seconds. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004  pydantic tells this one
            "write a time such as 2024-01-31T12:00:00Z"
        )
    return as_meant(value)


def text_or_none(value: object) -> object:
    """As `only_text`, for one that need not be given."""
    return None if value is None else only_text(value)


Time = Annotated[datetime | None, BeforeValidator(as_meant)]


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


def span(
    start: datetime | None, end: datetime | None, place: str = "query"
) -> tuple[datetime | None, datetime | None]:
    """`from` and `to` in UTC, which stand in the `query` or the `body`. Raises ProblemError 422."""
    begin = utc("from", start, place)
    until = utc("to", end, place)
    if begin is not None and until is not None and begin > until:
        raise field_problem(f"{place}.from", "it lies after `to`")
    return begin, until


def utc(
    name: str, moment: datetime | None, place: str = "query"
) -> datetime | None:
    """As `as_utc`, for a parameter of this name. Raises ProblemError 422."""
    try:
        return as_utc(moment)
    except ValueError:
        raise field_problem(f"{place}.{name}", "out of range") from None


def with_z(body: str) -> str:
    """PostgreSQL writes UTC as +00:00. Cut there, which is faster than to search for times."""
    *parts, last = body.split(_OFFSET)
    return "".join([*map(_with_ending, parts), last])


def _with_ending(part: str) -> str:
    is_time = _TIME.search(part[-_LONGEST_TIME:])
    return part + ('Z"' if is_time else _OFFSET)
