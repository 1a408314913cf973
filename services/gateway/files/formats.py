"""The forms of a file, and which one a request wants."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from services.gateway.problems import ProblemError


class FileFormat(StrEnum):
    """json: a page, as ever. The others: everything that matches, to download."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA_TYPES = {
    FileFormat.JSON: "application/json",
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.NDJSON: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
    FileFormat.ARROW: "application/vnd.apache.arrow.stream",
}
# For the OpenAPI document.
CONTENT = {
    media_type.partition(";")[0]: {
        "schema": {"type": "string", "format": "binary"}
    }
    for form, media_type in MEDIA_TYPES.items()
    if form != FileFormat.JSON
}
_BY_TYPE = {
    media_type.partition(";")[0]: form
    for form, media_type in MEDIA_TYPES.items()
}


def wanted_format(given: FileFormat | None, accept: str) -> FileFormat:
    """`format`, else the first form that `Accept` names; JSON where it names none.

    Raises ProblemError 406 where it names others alone.
    """
    if given is not None:
        return given
    named = [
        each.partition(";")[0].strip().lower()
        for each in accept.split(",")
        if each.strip()
    ]
    for name in named:
        if name in _BY_TYPE:
            return _BY_TYPE[name]
        if name in ("*/*", "application/*"):
            return FileFormat.JSON
    if named and not any(name.startswith("text/") for name in named):
        raise ProblemError(
            406,
            f"none of {accept[:100]!r} is given: ask for {', '.join(_BY_TYPE)}",
        )
    return FileFormat.JSON


def headers_of(name: str, form: FileFormat) -> dict[str, str]:
    """So that a browser keeps it under a name."""
    at = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return {
        "Content-Disposition": f'attachment; filename="{name}-{at}.{form}"',
        "Cache-Control": "no-store",
        "Vary": "Accept",
    }
