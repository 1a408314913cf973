"""Windows of history: their names, what they cost, and the series that they belong to."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from shared.identity.windows import Window, series_stream, window_of

DAY = date(2024, 1, 1)


def test_a_window_is_known_by_its_name() -> None:
    window = Window("btc-bitcoin", "ohlcv", DAY, date(2024, 3, 1))
    name = "coinpaprika/btc-bitcoin/ohlcv/2024-01-01..2024-03-01"
    assert window.stream == name
    assert window_of(name) == window
    assert series_stream(name) == "coinpaprika/btc-bitcoin/ohlcv"


@pytest.mark.parametrize(
    "stream",
    [
        "coinpaprika/btc-bitcoin",
        "coinpaprika/btc-bitcoin/ohlcv",
        "coinpaprika/btc-bitcoin/ohlcv/2024-03-01..2024-01-01",
        "coinpaprika/btc-bitcoin/ohlcv/2024-02-31..2024-03-01",
        "csv/ohlcv/2024-01-01..2024-03-01",
    ],
)
def test_other_streams_are_those_of_their_own_series(stream: str) -> None:
    assert window_of(stream) is None
    assert series_stream(stream) == stream


@pytest.mark.parametrize(
    ("days", "calls"), [(1, 2), (365, 2), (366, 3), (730, 3), (731, 4)]
)
def test_a_window_takes_a_call_for_the_coin_and_one_a_year(
    days: int, calls: int
) -> None:
    end = DAY + timedelta(days=days)
    assert Window("btc", "historical", DAY, end).calls() == calls
