"""Windows of history: streams that name the days they are asked for.

Such as `coinpaprika/btc-bitcoin/ohlcv/2024-01-01..2024-03-01`. Each window is resumed on its own;
what it yields belongs to one series, whichever windows it came in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from shared.messages.base import Source

KINDS = ("ohlcv", "historical")
STEP = "1d"  # what lies between two data points
# The days in a stream's name, as a pattern of PostgreSQL.
OF_WINDOW = r"/\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d$"
CHUNK = timedelta(days=365)  # what one request may ask for
_OF_SERIES = rf"{Source.COINPAPRIKA}/(?P<coin>[^/]{{1,100}})/(?P<kind>{'|'.join(KINDS)})"
_PARENT = re.compile(_OF_SERIES)
_NAME = re.compile(
    _OF_SERIES
    + r"/(?P<start>\d{4}-\d\d-\d\d)\.\.(?P<end>\d{4}-\d\d-\d\d)"
)


@dataclass(frozen=True)
class Window:
    """One coin's daily candles (`ohlcv`) or prices (`historical`), `end` excluded."""

    coin: str
    kind: str
    start: date
    end: date

    @property
    def stream(self) -> str:
        return f"{self.parent}/{self.start}..{self.end}"

    @property
    def parent(self) -> str:
        """The stream of its series."""
        return f"{Source.COINPAPRIKA}/{self.coin}/{self.kind}"

    def calls(self) -> int:
        """Requests that it takes: one for the coin, and one for each year of days."""
        return 1 - (self.start - self.end) // CHUNK


def window_of(stream: str) -> Window | None:
    """The window in a stream's name; None for a stream of another kind."""
    found = _NAME.fullmatch(stream)
    if found is None:
        return None
    try:
        start = date.fromisoformat(found["start"])
        end = date.fromisoformat(found["end"])
    except ValueError:
        return None
    return (
        Window(found["coin"], found["kind"], start, end)
        if start < end
        else None
    )


def parent_of(stream: str) -> tuple[str, str] | None:
    """(coin, kind) of a series that is read in windows; None for the stream of another."""
    found = _PARENT.fullmatch(stream)
    return None if found is None else (found["coin"], found["kind"])


def series_stream(stream: str) -> str:
    """The stream of the series that a stream's records belong to."""
    window = window_of(stream)
    return stream if window is None else window.parent
