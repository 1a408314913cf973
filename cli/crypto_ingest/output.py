"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def as_json(value: Any) -> None:
    """As the API gave it, indented."""
    sys.stdout.write(
        json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str
) -> None:
    """Rows below headings; numbers stand to the right. `nothing`: said where there are none."""
    found = [[said(cell) for cell in row] for row in rows]
    if not found:
        console.print(plain(nothing))
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        is_number = name.startswith(">")
        shown.add_column(
            name.removeprefix(">"),
            justify="right" if is_number else "left",
            overflow="fold",
        )
    for row in found:
        shown.add_row(*row)
    console.print(shown)


def said(cell: Any) -> str:
    """A cell as people read it."""
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return plain(cell)


def plain(text: Any) -> str:
    """What others wrote, without what moves a terminal's cursor or turns its text."""
    kept = "".join(
        "\ufffd"
        if unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cs")
        and letter not in "\n\t"
        else letter
        for letter in str(text)
    )
    return escape(kept)


def moment(text: str | None) -> str:
    """A time of the API without what nobody reads: `2024-01-31 12:00:00`."""
    return text[:19].replace("T", " ") if text else "–"


def ago(text: str | None) -> str:
    """How long ago, such as `5 min`."""
    if text is None:
        return "never"
    then = datetime.fromisoformat(text)
    return span((datetime.now(UTC) - then).total_seconds())


def span(seconds: float | None) -> str:
    """A length: 12 s, 5 min, 3 h, 2 d."""
    if seconds is None:
        return "–"
    for most, size, unit in (
        (60, 1, "s"),
        (3_600, 60, "min"),
        (86_400, 3_600, "h"),
    ):
        if seconds < most:
            return f"{max(0, seconds) // size:.0f} {unit}"
    return f"{seconds // 86_400:,.0f} d"
