"""Bars as a file: every one that was asked for, a window at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.gateway.files.formats import FileFormat
from services.gateway.prices.bars import Fill, build_file
from services.gateway.prices.series import WholeSeries
from services.gateway.prices.windows import Window


@dataclass(frozen=True)
class BarQueries:
    """The queries of a file, one series behind the other."""

    series: list[WholeSeries]
    window: Window
    fill: Fill
    as_of: datetime | None
    form: FileFormat

    def __iter__(self) -> Iterator[tuple[str, list[Any]]]:
        for each in self.series:
            for piece in self.window.pieces():
                yield build_file(
                    each,
                    piece,
                    self.fill,
                    self.as_of,
                    self.form,
                    self.window.start,
                )
