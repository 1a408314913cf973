"""What stands in a file that the gateway wrote."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import httpx
import pyarrow.parquet as pq
from pyarrow import ipc

FORMS = ("csv", "ndjson", "parquet", "arrow")


def rows_of(answer: httpx.Response, form: str) -> list[dict[str, Any]]:
    """As each form says them; numbers as Decimal."""
    match form:
        case "csv":
            return [
                {name: value or None for name, value in row.items()}
                for row in csv.DictReader(io.StringIO(answer.text))
            ]
        case "ndjson":
            return [
                json.loads(line, parse_float=Decimal)
                for line in answer.text.splitlines()
            ]
        case _:
            rows: list[dict[str, Any]] = read(
                answer.content, form
            ).to_pylist()
            return rows


def read(content: bytes, form: str) -> Any:
    """A table of columns. Raises ArrowInvalid for what is not whole."""
    if form == "parquet":
        return pq.read_table(io.BytesIO(content))
    with ipc.open_file(content) as reader:
        return reader.read_all()
