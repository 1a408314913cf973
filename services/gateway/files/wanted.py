"""Which form a request wants, and what it may not ask for then."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from fastapi import Request
from pydantic import BaseModel, Field

from services.gateway.files.formats import MEDIA_TYPES, FileFormat
from services.gateway.problems import ProblemError, field_problem

Format = Annotated[
    FileFormat | None,
    Field(
        description=(
            "csv, ndjson, parquet, arrow: everything that matches, as a file; `Accept` may say it"
            " too"
        )
    ),
]
_BY_TYPE = {
    media_type.partition(";")[0]: form
    for form, media_type in MEDIA_TYPES.items()
}


def wanted_format(
    request: Request, given: FileFormat | None
) -> FileFormat:
    """`format`, else the first form that `Accept` names; JSON where it names none.

    Raises ProblemError 406 where it names others alone.
    """
    if given is not None:
        return given
    accept = ", ".join(request.headers.getlist("accept"))
    named = sorted(_named(accept), key=lambda each: -each[1])
    for name, weight in named:
        if not weight:
            continue
        if name in _BY_TYPE:
            return _BY_TYPE[name]
        if name == "text/*":
            return FileFormat.CSV
        if name in ("*/*", "application/*"):
            return FileFormat.JSON
    if named and not any(name.startswith("text/") for name, _ in named):
        raise ProblemError(
            406,
            f"none of {accept[:100]!r} is given: ask for {', '.join(_BY_TYPE)}",
        )
    return FileFormat.JSON


def _named(accept: str) -> Iterator[tuple[str, float]]:
    """Media types with their weights, in their order; what has none counts most."""
    for each in accept.split(","):
        name, *parameters = [
            part.strip().lower() for part in each.split(";")
        ]
        given = [part for part in parameters if part.startswith("q=")]
        try:
            weight = float(given[0][2:]) if given else 1.0
        except ValueError:
            weight = 0.0
        if name:
            yield name, 0.0 if math.isnan(weight) else weight


def refuse_pages(asked: BaseModel, *names: str) -> None:
    """Raises ProblemError 422 for a parameter of pages, which a file does not have."""
    given = sorted(asked.model_fields_set.intersection(names))
    if given:
        raise field_problem(
            f"query.{given[0]}", "a file has everything: leave it out"
        )
