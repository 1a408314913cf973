"""Pages that are mapped by column yield what their rows yield one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest

from services.normalizer.mapping import csv_files
from services.normalizer.mapping.page import (
    at_once,
    map_page,
    opened,
    outcomes,
)
from shared.messages.pages import RawPage
from shared.messages.points import Points, UnifiedData
from shared.messages.serialization import decode, encode, raw_page_decoder
from tests.support.pages import raw_page

COLUMNS = ["date", "open", "high", "low", "close", "volume"]
START = 1_700_000_000


def page_of(
    rows: list[list[Any]],
    columns: list[str] | None = None,
    path: str = "btc-usd.csv",
) -> RawPage:
    context = {
        "path": path,
        "columns": columns or COLUMNS,
        "sample": rows[:20],
    }
    page = raw_page(rows, stream=f"csv/{path}", context=context)
    return decode(raw_page_decoder, encode(page))


def by_column(page: RawPage) -> Points | None:
    records, info, _ = opened(page)
    return at_once(info, records)


def by_row(page: RawPage) -> list[UnifiedData]:
    """Raises ValueError for a record that yields none."""
    events = []
    records, _, map_record = opened(page)
    for outcome in outcomes(records, map_record):
        if not isinstance(outcome, list):
            raise ValueError(str(outcome))
        events += outcome
    return events


def same(page: RawPage) -> None:
    points = by_column(page)
    assert points is not None
    assert points.rows() == by_row(page)
    assert Points.of(by_row(page)) == points


TIMES = {
    "seconds": lambda n: str(START + 60 * n),
    "milliseconds": lambda n: str((START + 60 * n) * 1000),
    "odd milliseconds": lambda n: str((START + 60 * n) * 1000 + 17),
    "days": lambda n: f"2024-01-{1 + n:02}",
    "ISO with a space": lambda n: f"2024-01-01 00:{n:02}:00",
    "ISO with a T": lambda n: f"2024-01-01T00:{n:02}:00",
    "ISO with a zone": lambda n: f"2024-01-01T00:{n:02}:00+02:00",
    "in words": lambda n: f"Jan {1 + n}, 2024",
}


@pytest.mark.parametrize("time", TIMES)
def test_times(time: str) -> None:
    same(
        page_of(
            [
                [TIMES[time](n), "1.50", "2", "0.5", "1.5", "0009.10"]
                for n in range(20)
            ]
        )
    )


@pytest.mark.parametrize(
    "columns",
    [
        ["date", "symbol", "open", "high", "low", "close", "volume"],
        ["date", "currency", "open", "high", "low", "close", "volume"],
    ],
)
def test_rows_that_name_their_pair(columns: list[str]) -> None:
    names = {"symbol": ["BTCUSDT", "ETH/EUR"], "currency": ["USD", "EUR"]}
    said = names[columns[1]]
    for count in (1, 2):
        same(
            page_of(
                [
                    [
                        str(START + 60 * n),
                        said[n % count],
                        "1",
                        "2",
                        "0.5",
                        "1",
                        "3",
                    ]
                    for n in range(6)
                ],
                columns,
                "btc.csv" if columns[1] == "currency" else "prices.csv",
            )
        )


def test_volumes_in_each_others_columns() -> None:
    columns = [*COLUMNS[:5], "Volume BTC", "Volume USD"]
    usual = ["100", "110", "90", "100", "2", "200"]
    swapped = [*usual[:4], "200", "2"]
    page = page_of(
        [
            [str(START + 60 * n), *(swapped if n == 3 else usual)]
            for n in range(6)
        ],
        columns,
    )
    same(page)
    points = by_column(page)
    assert points is not None
    assert points.attributes == [
        {"volumes_swapped": True} if n == 3 else None for n in range(6)
    ]


@pytest.mark.parametrize(
    ("position", "cell"),
    [
        (0, "yesterday"),
        (1, ""),
        (1, "0"),
        (1, "1e2"),
        (1, "-1"),
        (1, ".5"),
        (1, "5."),
        (1, " 5"),
        (1, "٣"),
        (1, "$5"),
        (2, "0.1"),
        (3, "7"),
        (5, ""),
        (5, "n/a"),
    ],
)
def test_a_row_that_has_to_be_looked_at_is(
    position: int, cell: str
) -> None:
    rows = [
        [str(START + 60 * n), "1", "2", "0.5", "1.5", "9"]
        for n in range(30)
    ]
    rows[25][position] = cell
    assert by_column(page_of(rows)) is None


@pytest.mark.parametrize(
    "row", [["1"], "123456", {"a": "b"}, None, [1, 2, 3, 4, 5, 6]]
)
def test_records_that_are_no_rows_of_texts(row: Any) -> None:
    rows = [
        [str(START + 60 * n), "1", "2", "0.5", "1.5", "9"]
        for n in range(30)
    ]
    page = page_of([*rows, row])
    assert by_column(page) is None
    assert len(map_page(page).points) == 30


def test_whatever_rows_hold_both_ways_yield_the_same() -> None:
    random_ = random.Random(7)
    cells = ["1", "1.0", "01", "0", "", "x", "2", "2.50", "1e1", "3"]
    at_once = 0
    for _ in range(400):
        rows = [
            [str(START + 60 * n), "1", "3", "1", "2", "9"]
            for n in range(8)
        ]
        for _ in range(random_.randrange(3)):
            row = random_.choice(rows[-3:])
            row[random_.randrange(1, 6)] = random_.choice(cells)
        page = page_of(rows)
        points = by_column(page)
        if points is not None:
            at_once += 1
            assert points.rows() == by_row(page)
    assert 100 < at_once < 400


def test_a_bug_in_it_costs_no_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = page_of(
        [
            [str(START + 60 * n), "1", "2", "0.5", "1.5", "9"]
            for n in range(3)
        ]
    )
    expected = map_page(page)

    def fail(*_: object) -> Points:
        raise RuntimeError("a bug")

    monkeypatch.setattr(csv_files.csv_columns, "candles", fail)
    assert map_page(page) == expected
