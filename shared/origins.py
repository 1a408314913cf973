"""Where a record of a page stood in its source."""

from __future__ import annotations

from typing import Any


def place(origin: dict[str, Any], index: int) -> dict[str, object]:
    """Path, line and row of a record of a file, or nothing but its index in the page."""
    if "first_row" not in origin:
        return {"index": index}
    lines = origin.get("lines")
    line = lines[index] if lines and index < len(lines) else origin.get("first_line", 0) + index
    row = origin["rows"][index] if "rows" in origin else origin["first_row"] + index  # records of a requeued page do not follow each other
    return {"path": origin.get("path"), "row": row, "line": line}
