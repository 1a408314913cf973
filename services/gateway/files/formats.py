"""The forms of a file."""

from __future__ import annotations

from enum import StrEnum


class FileFormat(StrEnum):
    """json: a page, as ever. The others: everything that matches, to download."""

    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


# Arrow's stream format has no end that must be there: the start of one looks whole.
MEDIA_TYPES = {
    FileFormat.JSON: "application/json",
    FileFormat.CSV: "text/csv; charset=utf-8",
    FileFormat.NDJSON: "application/x-ndjson",
    FileFormat.PARQUET: "application/vnd.apache.parquet",
    FileFormat.ARROW: "application/vnd.apache.arrow.file",
}
# For the OpenAPI document.
CONTENT = {
    media_type.partition(";")[0]: {
        "schema": {"type": "string", "format": "binary"}
    }
    for form, media_type in MEDIA_TYPES.items()
    if form != FileFormat.JSON
}
