"""Tickers become data points with every digit."""

from __future__ import annotations

from typing import Any

import pytest

from services.normalizer.mapping.page import map_page
from tests.simulator.server import ticker
from tests.support.pages import raw_page


def test_a_ticker_keeps_every_digit() -> None:
    record = ticker("btc-bitcoin", 38054.559248568)
    (point,) = map_page(
        raw_page([record], stream="coinpaprika/btc-bitcoin", context={})
    ).points.rows()
    assert (
        point.instrument,
        point.symbol,
        point.price,
        point.volume,
        point.currency,
    ) == (
        "btc-bitcoin",
        "btc",
        "38054.559248568",
        "16010948942.9",
        "USD",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"last_updated": None}, "missing_time"),
        ({"symbol": ""}, "missing_value"),
        ({"quotes": {}}, "missing_value"),
        ({"quotes": {"USD": {"price": "dear"}}}, "not_a_number"),
    ],
)
def test_a_ticker_that_lacks_something_is_rejected_with_a_reason(
    change: dict[str, Any], reason: str
) -> None:
    mapped = map_page(
        raw_page(
            [{**ticker("btc-bitcoin"), **change}],
            stream="coinpaprika/x",
            context={},
        )
    )
    assert [r.reason for r in mapped.rejected] == [reason]


def test_an_empty_text_for_a_number_is_a_missing_one() -> None:
    record = ticker("btc-bitcoin")
    record["quotes"]["USD"]["volume_24h"] = ""
    assert (
        map_page(raw_page([record], stream="coinpaprika/x", context={}))
        .points.rows()[0]
        .volume
        is None
    )
