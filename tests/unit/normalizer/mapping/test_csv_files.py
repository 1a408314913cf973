"""Rows and context in; data points, skips and rejections out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from services.normalizer.mapping.base import PageInfo, data_point
from services.normalizer.mapping.page import map_page
from shared.messages.base import Stage
from shared.messages.pages import Rejection
from tests.support.pages import candle, raw_page


def csv_page(
    columns: list[str], rows: list[list[str]], path: str = "btc-usd.csv"
) -> Any:
    return raw_page(
        rows,
        stream=f"csv/{path}",
        context={"path": path, "columns": columns, "sample": rows[:20]},
    )


def test_a_row_with_open_high_low_close_is_a_candle() -> None:
    point, _ = map_page(raw_page([candle(1), candle(2)])).points.rows()
    assert (
        point.kind,
        point.instrument,
        point.symbol,
        point.currency,
        point.interval,
    ) == (
        "candle",
        "btc-usd",
        "btc",
        "USD",
        "1d",
    )
    assert (
        point.timestamp,
        point.open,
        point.high,
        point.low,
        point.close,
        point.volume,
    ) == (
        "2024-01-01T00:00:00Z",
        "1",
        "2",
        "0.5",
        "1.5",
        "9",
    )


def test_columns_in_any_order_and_case() -> None:
    page = csv_page(
        [
            "CLOSE",
            "Symbol",
            "Low",
            "Market Cap",
            "High",
            "Open",
            "Volume ETH",
            "Unix Timestamp",
        ],
        [["1.5", "ETH/EUR", "1", "100", "2", "1.2", "7", "1704067200"]],
    )
    (point,) = map_page(page).points.rows()
    assert (
        point.symbol,
        point.currency,
        point.open,
        point.close,
        point.volume,
        point.market_cap,
        point.timestamp,
    ) == (
        "eth",
        "EUR",
        "1.2",
        "1.5",
        "7",
        "100",
        "2024-01-01T00:00:00Z",
    )


def test_a_row_with_a_price_only_is_a_price() -> None:
    (point,) = map_page(
        csv_page(
            ["snapped_at", "price", "market_cap", "total_volume"],
            [["2013-04-28 00:00:00 UTC", "135.30", "1500517590", "0.0"]],
        )
    ).points.rows()
    assert (
        point.kind,
        point.price,
        point.market_cap,
        point.volume,
        point.interval,
    ) == (
        "price",
        "135.3",
        "1500517590",
        "0",
        None,
    )


def test_date_and_time_in_two_columns_are_one_time() -> None:
    (point,) = map_page(
        csv_page(
            ["Date", "Time", "Price"], [["2024-01-01", "13:30", "5"]]
        )
    ).points.rows()
    assert point.timestamp == "2024-01-01T13:30:00Z"


def test_the_same_fact_has_the_same_identity_and_another_value_another_hash() -> (
    None
):
    first, again = (
        map_page(raw_page([candle(1)])).points.rows()[0] for _ in range(2)
    )
    changed = map_page(raw_page([candle(1, close="1.6")])).points.rows()[
        0
    ]
    assert (first.id, first.value_hash) == (again.id, again.value_hash)
    assert first.id == changed.id
    assert first.value_hash != changed.value_hash


def test_every_record_ends_in_one_place_with_its_line() -> None:
    before = Rejection(
        reason="unclosed_quote", message="line 9", stage=Stage.EXTRACT
    )
    rows = [
        candle(1),
        ["2024-01-02", "", "", "", "", ""],
        ["2024-01-03", "1", "2", "0.5", "x", "9"],
        ["short"],
    ]
    mapped = map_page(raw_page(rows, rejections=[before]))
    assert (
        len(mapped.points.rows())
        + len(mapped.skipped)
        + sum(r.count for r in mapped.rejected)
        == 5
    )
    assert [(r.reason, r.index, r.stage) for r in mapped.rejected] == [
        ("unclosed_quote", None, "extract"),
        ("not_a_number", 2, "map"),
        ("wrong_column_count", 3, "map"),
    ]
    assert mapped.rejected[1].origin == {
        "path": "sample/btc-usd.csv",
        "row": 3,
        "line": 4,
    }


@pytest.mark.parametrize(
    ("columns", "path", "reason"),
    [
        (["a", "b"], "btc.csv", "unknown_columns"),
        (["date", "b"], "btc.csv", "unknown_columns"),
        (["date", "price"], "export_2024.csv", "unknown_symbol"),
    ],
)
def test_a_file_that_is_not_understood_is_one_dead_letter_that_says_what_to_do(
    columns: list[str], path: str, reason: str
) -> None:
    mapped = map_page(csv_page(columns, [["2024-01-01", "2"]] * 7, path))
    assert [(r.reason, r.count) for r in mapped.rejected] == [(reason, 7)]


def test_a_page_whose_records_all_fail_alike_is_one_dead_letter() -> None:
    context = {
        "path": "btc-usd.csv",
        "columns": ["date", "price"],
        "sample": [["2023-01-01", "5"]],
    }
    mapped = map_page(
        raw_page(
            [["2024-01-01", "x"]] * 9,
            stream="csv/btc-usd.csv",
            context=context,
        )
    )
    assert [(r.reason, r.field, r.count) for r in mapped.rejected] == [
        ("not_a_number", "price", 9)
    ]


@pytest.mark.parametrize(
    "row",
    [
        ["2024-01-01", "1", "0.5", "0.4", "0.9", "1"],
        ["2024-01-01", "1", "2", "1.1", "1.5", "1"],
    ],
)
def test_candles_that_contradict_themselves_are_rejected(
    row: list[str],
) -> None:
    assert (
        map_page(raw_page([row, candle(2)])).rejected[0].reason
        == "contradiction"
    )


def test_a_negative_price_is_rejected() -> None:
    rows = [["2024-01-01", "-1"], ["2024-01-02", "1"]]
    mapped = map_page(csv_page(["date", "price"], rows))
    assert mapped.rejected[0].reason == "negative"


def test_one_odd_record_does_not_hold_up_its_neighbours() -> None:
    mapped = map_page(raw_page([None, candle(2)]))
    assert [each.reason for each in mapped.rejected] == ["mapping_error"]
    assert len(mapped.points.rows()) == 1


def test_a_number_out_of_range_is_rejected() -> None:
    rows = [["2024-01-01", "1e1000000"], ["2024-01-02", "1"]]
    mapped = map_page(csv_page(["date", "price"], rows))
    assert mapped.rejected[0].reason == "out_of_range"


def test_decimal_commas_are_read_as_such_or_refused() -> None:
    def prices(*values: str) -> Any:
        rows = [
            [f"2024-01-{day:02}", value]
            for day, value in enumerate(values, 1)
        ]
        return map_page(
            raw_page(
                rows,
                stream="csv/xrp-eur.csv",
                context={
                    "path": "xrp-eur.csv",
                    "delimiter": ";",
                    "columns": ["date", "price"],
                    "sample": rows,
                },
            )
        )

    assert [
        point.price
        for point in prices("0,501", "41,234", "1.234,5").points.rows()
    ] == [
        "0.501",
        "41.234",
        "1234.5",
    ]
    assert [r.reason for r in prices("41,234", "5").rejected] == [
        "ambiguous_number"
    ]
    assert [
        point.price for point in prices("1,234.5", "41,234").points.rows()
    ] == [
        "1234.5",
        "41234",
    ]


def test_investings_price_is_the_close_of_a_candle() -> None:
    page = csv_page(
        ["Date", "Price", "Open", "High", "Low", "Vol.", "Change %"],
        [
            [
                "Jul 01, 2021",
                "33,543.6",
                "35,030.7",
                "35,032.7",
                "32,839.2",
                "27.41K",
                "-4.23%",
            ]
        ],
    )
    (point,) = map_page(page).points.rows()
    assert (point.kind, point.close, point.volume, point.timestamp) == (
        "candle",
        "33543.6",
        "27410",
        "2021-07-01T00:00:00Z",
    )


@pytest.mark.parametrize(
    ("column", "value", "symbol"),
    [
        ("coin", "Bitcoin", "btc"),
        ("market", "bitstamp", "eth"),
        ("market", "BTC/USD", "btc"),
        ("symbol", "NEWCOIN", "newcoin"),
    ],
)
def test_symbol_columns_are_believed_when_they_hold_symbols(
    column: str, value: str, symbol: str
) -> None:
    (point,) = map_page(
        csv_page(
            ["date", column, "price"],
            [["2024-01-01", value, "1"]],
            "eth.csv",
        )
    ).points.rows()
    assert point.symbol == symbol


def test_the_currency_comes_from_the_row_the_header_or_the_name() -> None:
    def currency(
        columns: list[str], row: list[str], path: str
    ) -> str | None:
        return (
            map_page(csv_page(columns, [row], path))
            .points.rows()[0]
            .currency
        )

    assert (
        currency(
            ["time", "close", "currency"],
            ["2024-01-01", "5", "EUR"],
            "btc-usd.csv",
        )
        == "EUR"
    )
    assert (
        currency(
            ["date", "price_usd"], ["2024-01-01", "5"], "btc-eur.csv"
        )
        == "USD"
    )
    assert (
        currency(["date", "PriceUSD"], ["2024-01-01", "5"], "btc.csv")
        == "USD"
    )
    assert (
        currency(
            ["date", "price_eur", "price_usd"],
            ["2024-01-01", "5", "6"],
            "btc.csv",
        )
        == "EUR"
    )
    assert (
        currency(["date", "price"], ["2024-01-01", "5"], "btc-eur.csv")
        == "EUR"
    )


def test_the_volume_is_the_one_in_the_coin() -> None:
    columns = ["date", "symbol", "close", "Volume USDT", "Volume BTC"]
    assert (
        map_page(
            csv_page(
                columns, [["2024-01-01", "BTCUSDT", "5", "1000", "7"]]
            )
        )
        .points.rows()[0]
        .volume
        == "7"
    )
    assert (
        map_page(
            csv_page(
                ["date", "close", "Volume USD"],
                [["2024-01-01", "5", "1000"]],
            )
        )
        .points.rows()[0]
        .volume
        is None
    )


def test_dots_are_thousands_where_commas_are_decimal() -> None:
    rows = [
        ["2024-01-01", "1.234,56"],
        ["2024-01-02", "1.235"],
        ["2024-01-03", "1235,5"],
    ]
    page = raw_page(
        rows,
        stream="csv/btc-eur.csv",
        context={
            "path": "btc-eur.csv",
            "delimiter": ";",
            "columns": ["date", "price"],
            "sample": rows,
        },
    )
    assert [point.price for point in map_page(page).points.rows()] == [
        "1234.56",
        "1235",
        "1235.5",
    ]


def test_a_candle_has_the_identity_and_hash_that_every_data_point_has() -> (
    None
):
    for row in ([candle(1)], [[*candle(1)[:5], ""]]):
        (point,) = map_page(raw_page(row)).points.rows()
        values = {
            name: getattr(point, name)
            for name in (
                "kind",
                "timestamp",
                "instrument",
                "symbol",
                "currency",
                "interval",
                "open",
                "high",
                "low",
                "close",
                "volume",
                "market_cap",
            )
        }
        page = raw_page(row)
        info = PageInfo(page.source, page.dataset, page.stream, {}, "")
        key = (
            "candle",
            point.instrument or "",
            point.currency or "",
            point.interval or "",
            point.timestamp,
        )
        assert point == data_point(info, 0, key, **values)


@pytest.mark.parametrize("stream", ["csv/btc-usd.csv", "rss/desk"])
@pytest.mark.parametrize("records", [b"5", b"null", b'{"b": 1}'])
def test_records_that_are_not_a_list_are_one_dead_letter(
    stream: str, records: bytes
) -> None:
    page = raw_page([candle()], stream=stream)
    page = msgspec.structs.replace(page, records=msgspec.Raw(records))
    (rejection,) = map_page(page).rejected
    assert rejection.reason == "undecodable_records"
    assert rejection.count == 1
