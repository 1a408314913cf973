"""A conclusion needs positive evidence from cells, and what contradicts it is a refusal.

Small files of the kinds that were once read wrongly in silence, each with the value that is right.
"""

from __future__ import annotations

import codecs
import gzip
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shared.csvfile import folder, overrides
from shared.csvfile.profile import profile
from shared.errors import TaskError
from shared.messages.points import UnifiedData
from tests.unit.shared.csvfile.test_kinds_of_files import mapped, read

DAYS = ("2021-03-01", "2021-03-02", "2021-03-03")
CANDLES = (
    "41.5,43.5,40.25,42,7",
    "42,43,41.25,42.5,3",
    "42.5,44,42.25,43.75,4",
    "43.75,44.5,43.25,43.5,5",
)
OHLCV = "open,high,low,close,volume"


def table(header: str, *rows: str) -> str:
    return "\n".join([header, *rows]) + "\n"


def candles(times: list[str], header: str | None) -> str:
    rows = [
        f"{time},{row}" for time, row in zip(times, CANDLES, strict=True)
    ]
    return table(header, *rows) if header else "\n".join(rows) + "\n"


def values(points: list[UnifiedData]) -> float:
    return sum(float(point.close or point.price or 0) for point in points)


def one_series(points: list[UnifiedData]) -> tuple[Any, ...]:
    """(symbol, currency, kind, interval) of points that are all alike."""
    found = {
        (point.symbol, point.currency, point.kind, point.interval)
        for point in points
    }
    assert len(found) == 1, found
    return found.pop()


def refusal(root: Path, name: str, content: str) -> TaskError:
    with pytest.raises(TaskError) as caught:
        read(root, name, content)
    return caught.value


# -- several columns that may be the price ---------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (
            "Bid,Ask,Mid,Last",
            (
                "99,101,100,100.75",
                "101,103,102,101.5",
                "103,105,104,104.5",
            ),
        ),
        ("VWAP,Close", ("99,100.75", "101,101.5", "103,104.5")),
        (
            "High,Low,Close,Average Price",
            ("102,98,100.75,99", "104,99,101.5,101", "106,100,104.5,103"),
        ),
        (
            "Weighted Price,Last Price",
            ("99,100.75", "101,101.5", "103,104.5"),
        ),
        ("Avg Price,Price", ("99,100.75", "101,101.5", "103,104.5")),
        ("Adj Close,Close", ("99,100.75", "101,101.5", "103,104.5")),
        (
            "Close,Closing Price",
            ("100.75,100.75", "101.5,101.5", "104.5,104.5"),
        ),
    ],
)
def test_a_traded_price_beats_what_is_made_of_prices(
    tmp_path: Path, header: str, rows: tuple[str, ...]
) -> None:
    lines = [f"{day},{row}" for day, row in zip(DAYS, rows, strict=True)]
    points, _ = read(
        tmp_path, "ltc-eur.csv", table(f"Date,{header}", *lines)
    )
    assert one_series(points) == ("ltc", "EUR", "price", None)
    assert values(points) == 306.75


@pytest.mark.parametrize(
    "header",
    [
        "Rate,Value",
        "Price,Last",
        "Close,Price",
        "VWAP,Mid",
        "Close,Close",
        "Settle,Value",
    ],
)
def test_two_columns_that_may_be_the_price_and_differ_are_refused(
    tmp_path: Path, header: str
) -> None:
    lines = [f"{day},{99 + n},{100.75 + n}" for n, day in enumerate(DAYS)]
    error = refusal(
        tmp_path, "ltc-eur.csv", table(f"Date,{header}", *lines)
    )
    assert error.code == "several_prices"
    assert "columns: {price:" in error.message


def test_the_price_beside_a_candle_stays_out_of_it(
    tmp_path: Path,
) -> None:
    points, _ = read(
        tmp_path,
        "btc-usd.csv",
        table(
            "Timestamp,Open,High,Low,Close,Weighted_Price",
            "1614556800,1,4,1,3,2.5",
            "1614556860,3,5,2,4,3.5",
        ),
    )
    assert one_series(points) == ("btc", "USD", "candle", "1m")
    assert values(points) == 7


def test_prices_of_one_coin_in_one_currency_twice_are_refused(
    tmp_path: Path,
) -> None:
    error = refusal(
        tmp_path,
        "btc-usd.csv",
        table(
            "date,close,price (usd)", "2021-03-01,5,6", "2021-03-02,7,8"
        ),
    )
    assert error.code == "several_prices"


# -- empty columns --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "ltc-eur.csv",
            table(
                "Day,Price,Open,High,Low,Close",
                *(
                    f"{d},{p},,,,"
                    for d, p in zip(
                        DAYS, ("41.5", "42.25", "43"), strict=True
                    )
                ),
            ),
        ),
        (
            "ltc-eur.csv",
            table(
                "Day,Close,Price",
                *(
                    f"{d},{p},"
                    for d, p in zip(
                        DAYS, ("41.5", "42.25", "43"), strict=True
                    )
                ),
            ),
        ),
        (
            "ltc-eur.csv",
            table(
                "Timestamp,Date,Price",
                *(
                    f",{d},{p}"
                    for d, p in zip(
                        DAYS, ("41.5", "42.25", "43"), strict=True
                    )
                ),
            ),
        ),
        (
            "prices.csv",
            table(
                "Date,Symbol,Coin,Price EUR",
                *(
                    f"{d},,ltc,{p}"
                    for d, p in zip(
                        DAYS, ("41.5", "42.25", "43"), strict=True
                    )
                ),
            ),
        ),
        (
            "ltc-eur.csv",
            table(
                "Date,null,Price,Close",
                *(
                    f"{d},,{p},null"
                    for d, p in zip(
                        DAYS, ("41.5", "42.25", "43"), strict=True
                    )
                ),
            ),
        ),
    ],
)
def test_an_empty_column_is_evidence_of_nothing(
    tmp_path: Path, name: str, content: str
) -> None:
    points, became = read(tmp_path, name, content)
    assert became == {"loaded": 3}
    assert one_series(points) == ("ltc", "EUR", "price", None)
    assert values(points) == 126.75


def test_a_row_without_a_candle_keeps_its_price(tmp_path: Path) -> None:
    content = table(
        "Day,Price,Open,High,Low,Close",
        "2021-03-01,41.5,,,,",
        "2021-03-02,42.25,40,43.5,39,42.25",
        "2021-03-03,43,,,,",
    )
    points, became = read(tmp_path, "ltc-eur.csv", content)
    assert became == {"loaded": 3}
    assert [point.kind for point in points] == [
        "price",
        "candle",
        "price",
    ]
    assert values(points) == 126.75


# -- volumes and market caps ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "header", "row", "series", "volume"),
    [
        (
            "Exch_ADAEUR_1h.csv",
            "date,symbol,open,high,low,close,Volume ADA,Volume EUR",
            "2021-03-01 00:00:00,ADA/EUR,1.5,2.5,1,2,100,180",
            ("ada", "EUR", "candle", None),
            "100",
        ),
        (
            "Exch_LTCBTC_1h.csv",
            "date,open,high,low,close,Volume LTC,Volume BTC",
            "2021-03-01 00:00:00,0.004,0.005,0.003,0.0045,1000,4",
            ("ltc", "BTC", "candle", None),
            "1000",
        ),
        (
            "Poloniex_LTCBTC_d.csv",
            "Date,Symbol,Open,High,Low,Close,Volume LTC,Volume BTC",
            "2024-03-01,LTCBTC,0.002000,0.002015,0.001995,0.002010,1000,2.0100",
            ("ltc", "BTC", "candle", None),
            "1000",
        ),
        (
            "x.csv",
            "Date,Symbol,Open,High,Low,Close,Volume ETH,Volume BTC",
            "2024-03-01,ETH/BTC,0.052,0.053,0.051,0.052,1000,52",
            ("eth", "BTC", "candle", None),
            "1000",
        ),
        (
            "XYZUSDT.csv",
            "date,open,high,low,close,Volume XYZ,Volume USDT",
            "2024-03-01,2,3,1,2,1000,2000",
            ("xyz", "USDT", "candle", None),
            "1000",
        ),
        (
            "ltc-eur.csv",
            "date,close,Volume (BTC)",
            "2021-03-01,41.5,19.5",
            ("ltc", "EUR", "price", None),
            None,
        ),
    ],
)
def test_a_volume_is_of_the_coin_that_it_is_counted_in(
    tmp_path: Path,
    name: str,
    header: str,
    row: str,
    series: Any,
    volume: str | None,
) -> None:
    points, _ = read(tmp_path, name, table(header, row))
    assert one_series(points)[:3] == series[:3]
    assert points[0].volume == volume


def test_a_market_cap_that_equals_the_volume_in_every_row_is_none(
    tmp_path: Path,
) -> None:
    header = f"date,{OHLCV},market cap"
    rows = [
        f"{day},{candle},{candle.rpartition(',')[2]}"
        for day, candle in zip(DAYS, CANDLES, strict=False)
    ]
    points, _ = read(tmp_path, "ltc-eur.csv", table(header, *rows))
    assert [point.market_cap for point in points] == [None] * 3
    rows[1] = f"{DAYS[1]},{CANDLES[1]},900"
    points, _ = read(tmp_path, "ltc-usd.csv", table(header, *rows))
    assert [point.market_cap for point in points] == ["7", "900", "4"]


def test_a_secondary_cell_that_cannot_be_read_costs_the_cell(
    tmp_path: Path,
) -> None:
    content = table(
        f"date,{OHLCV},market cap",
        '2024-03-01,6400,6402,6399,6401,5,"1,11E+11"',
        "2024-03-02,6400,6402,6399,6401,-5,100",
    )
    points, became = read(tmp_path, "btc-usd.csv", content)
    assert became == {"loaded": 2}
    assert [point.close for point in points] == ["6401", "6401"]
    assert points[0].attributes == {
        "unreadable": {
            "market_cap": "market_cap is not a number: '1,11E+11'"
        }
    }
    assert points[1].volume is None


# -- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quote",
    [
        "DAI",
        "UST",
        "PAX",
        "BIDR",
        "USD1",
        "TRX",
        "DOGE",
        "XRP",
        "AED",
        "TWD",
        "ZZZ",
    ],
)
def test_a_slash_leaves_nothing_to_guess(
    tmp_path: Path, quote: str
) -> None:
    rows = [f"{day},ADA/{quote},1.25" for day in DAYS]
    points, _ = read(
        tmp_path, "ada-usd.csv", table("time,symbol,close", *rows)
    )
    assert one_series(points) == ("ada", quote, "price", None)


def test_pairs_of_two_quotes_stand_side_by_side(tmp_path: Path) -> None:
    content = table(
        "time,symbol,close",
        "2021-03-01,ADA/DAI,1.25",
        "2021-03-01,ADA/EUR,1.125",
        "2021-03-02,ADA/DAI,1.5",
        "2021-03-02,ADA/EUR,1.25",
    )
    points, became = read(tmp_path, "export.csv", content)
    assert became == {"loaded": 4}
    by_currency = Counter(point.currency for point in points)
    assert by_currency == {"DAI": 2, "EUR": 2}


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("ADADAI.csv", ("ada", "DAI")),
        ("LTCEUR240.csv", ("ltc", "EUR")),
        ("BTCUSDH4.csv", ("btc", "USD")),
        ("btcusd4h.csv", ("btc", "USD")),
        ("BTCUSD2021.csv", ("btc", "USD")),
        ("C98USDT.csv", ("c98", "USDT")),
    ],
)
def test_a_period_or_a_rarer_quote_behind_a_pair(
    tmp_path: Path, name: str, series: tuple[str, str]
) -> None:
    points, _ = read(
        tmp_path,
        name,
        table("time,close", "2021-03-01,1.25", "2021-03-02,1.5"),
    )
    assert one_series(points)[:2] == series


def test_two_coins_in_a_row_are_no_coin(tmp_path: Path) -> None:
    error = refusal(
        tmp_path, "ADATRX.csv", table("time,close", "2021-03-01,1.25")
    )
    assert error.code == "unknown_symbol"


def test_a_column_called_currency_may_hold_the_coin(
    tmp_path: Path,
) -> None:
    content = table(
        "Currency,Date,Closing Price (USD),24h Open (USD),24h High (USD),24h Low (USD)",
        *(f"ETH,{day},2301.0,2300.0,2301.5,2299.5" for day in DAYS),
    )
    points, _ = read(tmp_path, "ETH_USD_2024-CoinDesk.csv", content)
    assert one_series(points) == ("eth", "USD", "candle", "1d")
    described = described_of(tmp_path, "ETH_USD_2024-CoinDesk.csv")
    assert described["series"][0]["currency"] == "USD"
    assert any(
        reason["what"] == "currency" for reason in described["reasons"]
    )


def described_of(root: Path, name: str) -> dict[str, Any]:
    found = profile(
        folder.find(root, name), overrides.load(root).overrides_for(name)
    )
    assert found is not None
    return found.described()


def test_the_file_in_a_zip_says_what_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "2021-03.zip", "w") as archive:
        times = [f"2021-03-01 0{hour}:00" for hour in range(4)]
        archive.writestr(
            "ltc-eur_hourly.csv", candles(times, f"date,{OHLCV}")
        )
    points, _ = mapped(tmp_path, "2021-03.zip")
    assert one_series(points) == ("ltc", "EUR", "candle", "1h")
    assert values(points) == 171.75


# -- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, f"date,{OHLCV}"])
@pytest.mark.parametrize(
    "form",
    [
        "20210301 0{}:00",
        "20210301 0{}0000",
        "20210301T0{}0000Z",
        "20210301-0{}:00:00",
        "20210301_0{}:00",
        "20210301 0{}:00 AM",
        "2021.03.01,0{}:00",
        "2021-03-01T0{}:00+00:00[UTC]",
    ],
)
def test_dates_with_a_time_of_day(
    tmp_path: Path, form: str, header: str | None
) -> None:
    if "," in form and header:
        header = f"date,time,{OHLCV}"
    times = [form.format(hour) for hour in (1, 2, 3, 4)]
    points, became = read(tmp_path, "ltc-eur.csv", candles(times, header))
    assert became == {"loaded": 4}
    assert one_series(points) == ("ltc", "EUR", "candle", "1h")
    assert points[0].timestamp == "2021-03-01T01:00:00Z"


@pytest.mark.parametrize(
    ("header", "times", "first"),
    [
        (
            "Local time",
            [
                "31.10.2021 01:30:00.000 GMT+0200",
                "31.10.2021 02:30:00.000 GMT+0200",
                "31.10.2021 02:30:00.000 GMT+0100",
                "31.10.2021 03:30:00.000 GMT+0100",
            ],
            "2021-10-30T23:30:00Z",
        ),
        (
            "time",
            [f"2021-10-31 0{hour}:00:00 UTC+2" for hour in (4, 5, 6, 7)],
            "2021-10-31T02:00:00Z",
        ),
        (
            "Time (UTC+8)",
            [f"2021-10-31 1{hour}:00:00" for hour in range(4)],
            "2021-10-31T02:00:00Z",
        ),
        (
            "Date (EST)",
            [f"2021-12-01 1{hour}:00:00" for hour in range(4)],
            "2021-12-01T15:00:00Z",
        ),
        (
            "time_utc",
            [f"2021-12-01 1{hour}:00:00" for hour in range(4)],
            "2021-12-01T10:00:00Z",
        ),
        (
            "time",
            [f"2021-12-01 1{hour}:00:00 (CET)" for hour in range(4)],
            "2021-12-01T09:00:00Z",
        ),
        (
            "time",
            [
                f"2021-12-01 1{hour}:00:00 [Europe/Berlin]"
                for hour in range(4)
            ],
            "2021-12-01T09:00:00Z",
        ),
        (
            "time",
            [f"2021-12-01 1{hour}:00:00+02" for hour in range(4)],
            "2021-12-01T08:00:00Z",
        ),
    ],
)
def test_zones_in_cells_and_in_the_names_of_columns(
    tmp_path: Path, header: str, times: list[str], first: str
) -> None:
    points, became = read(
        tmp_path, "ltc-eur.csv", candles(times, f"{header},{OHLCV}")
    )
    assert became == {"loaded": 4}
    assert points[0].timestamp == first
    assert points[0].interval == "1h"
    assert values(points) == 171.75


@pytest.mark.parametrize("header", ["Time (CST)", "Local time"])
def test_a_zone_that_nobody_knows_is_refused(
    tmp_path: Path, header: str
) -> None:
    times = [f"2021-10-31 1{hour}:00:00" for hour in range(4)]
    content = candles(times, f"{header},{OHLCV}")
    error = refusal(tmp_path, "ltc-eur.csv", content)
    assert error.code == "unknown_zone"
    (tmp_path / "mapping.yaml").write_text(
        "files:\n  - file: ltc-eur.csv\n    timezone: Asia/Shanghai\n"
    )
    points, _ = mapped(tmp_path, "ltc-eur.csv")
    assert points[0].timestamp == "2021-10-31T02:00:00Z"


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (
            "date,time_utc,price",
            (
                "2021-03-01,1614549600,41.5",
                "2021-03-02,1614636000,42.25",
                "2021-03-03,1614722400,43",
            ),
        ),
        (
            "local_time,utc_time,price",
            (
                "2021-03-01 00:00,2021-02-28 22:00,41.5",
                "2021-03-02 00:00,2021-03-01 22:00,42.25",
                "2021-03-03 00:00,2021-03-02 22:00,43",
            ),
        ),
    ],
)
def test_of_two_times_that_contradict_each_other_the_certain_one_counts(
    tmp_path: Path, header: str, rows: tuple[str, ...]
) -> None:
    points, _ = read(tmp_path, "ltc-eur.csv", table(header, *rows))
    assert points[0].timestamp == "2021-02-28T22:00:00Z"
    assert values(points) == 126.75


def test_two_times_of_which_none_is_certain_are_refused(
    tmp_path: Path,
) -> None:
    content = table(
        "timestamp,date,price",
        "2021-03-01 05:00,2021-03-02 09:00,1",
        "2021-03-02 05:00,2021-03-03 09:00,2",
    )
    assert (
        refusal(tmp_path, "ltc-eur.csv", content).code == "ambiguous_time"
    )


def test_open_time_and_close_time_do_not_contradict(
    tmp_path: Path,
) -> None:
    content = table(
        "open_time,open,high,low,close,close_time",
        "1614556800000,1,4,1,3,1614556859999",
        "1614556860000,3,5,2,4,1614556919999",
    )
    points, _ = read(tmp_path, "btcusdt.csv", content)
    assert points[0].timestamp == "2021-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("header", "times"),
    [
        (None, ["0", "1000", "2000", "3000"]),
        (f"time,{OHLCV}", ["34200", "34260", "34320", "34380"]),
        (
            f"time,{OHLCV}",
            ["09:30:00", "09:31:00", "09:32:00", "09:33:00"],
        ),
        (None, ["09:30:00", "09:31:00", "09:32:00", "09:33:00"]),
    ],
)
def test_a_time_of_day_without_a_date_is_refused(
    tmp_path: Path, header: str | None, times: list[str]
) -> None:
    error = refusal(tmp_path, "ltc-eur.csv", candles(times, header))
    assert error.code == "no_date"


def test_days_of_a_spreadsheet_need_a_date_in_their_name(
    tmp_path: Path,
) -> None:
    times = ["44256", "44257", "44258", "44259"]
    points, _ = read(
        tmp_path, "ltc-eur.csv", candles(times, f"Date,{OHLCV}")
    )
    assert points[0].timestamp == "2021-03-01T00:00:00Z"


# -- what is no price -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("btc-market-cap.csv", "value"),
        ("bitcoin-hashrate.csv", "value"),
        ("btc_dominance.csv", "value"),
        ("btc_fear_and_greed.csv", "value"),
        ("btc_funding_rate.csv", "rate"),
        ("btc_open_interest.csv", "value"),
        ("funding/btc.csv", "rate"),
        ("btc-fees-total.csv", "value"),
        ("BTC-Supply.csv", "value"),
        ("dominance.csv", "BTC"),
    ],
)
def test_another_quantity_in_a_files_name_is_no_price(
    tmp_path: Path, name: str, column: str
) -> None:
    content = table(f"date,{column}", *(f"{day},45.5" for day in DAYS))
    error = refusal(tmp_path, name, content)
    assert error.code == "not_prices"
    assert "ignore: true" in error.message


def test_exchanges_as_columns_are_no_prices(tmp_path: Path) -> None:
    content = table(
        "Time,gemini,okb,kraken,binance,others",
        *(
            f"{day},1{n},63{n}.5,2{n},3{n},4{n}"
            for n, day in enumerate(DAYS)
        ),
    )
    assert (
        refusal(tmp_path, "volume_by_exchange.csv", content).code
        == "not_prices"
    )
    assert (
        refusal(tmp_path, "by_exchange.csv", content).code == "not_prices"
    )


def test_a_column_that_is_called_a_price_is_one_whatever_the_file_says(
    tmp_path: Path,
) -> None:
    content = table("date,price", *(f"{day},45.5" for day in DAYS))
    points, _ = read(tmp_path, "btc-market-cap.csv", content)
    assert len(points) == 3


def test_a_price_of_zero_is_a_dead_letter(tmp_path: Path) -> None:
    rows = (
        "2021-03-01,41.5,43.5,40.25,42,7",
        "2021-03-02,0,0,0,0,0",
        "2021-03-03,42.5,44,42.25,43.75,4",
    )
    points, became = read(
        tmp_path, "ltc-eur.csv", table(f"date,{OHLCV}", *rows)
    )
    assert became == {"loaded": 2, "zero_price": 1}
    assert values(points) == 85.75
    _, became = read(
        tmp_path,
        "btc-eur.csv",
        table("date,price", "2021-03-01,0", "2021-03-02,5"),
    )
    assert became == {"loaded": 1, "zero_price": 1}


# -- what a person says ---------------------------------------------------------------------------

DESTROYED = table(
    "timeOpen;open;high;low;close;close_price",
    *(
        f"{day};1.057.030.998.500.800;1.1;1.0;1.057.030.998.500.800;1010,{n}"
        for n, day in enumerate(DAYS)
    ),
)


def given(root: Path, lines: str) -> None:
    (root / "mapping.yaml").write_text(
        f"files:\n  - file: '*.csv'\n{lines}"
    )


@pytest.mark.parametrize(
    "lines",
    [
        "    columns: {time: timeOpen, price: close_price}\n",
        "    columns: {open: null, high: null, low: null, close: null, price: close_price}\n",
        "    columns: {price: 6}\n",
    ],
)
def test_what_a_person_calls_the_price_is_the_price(
    tmp_path: Path, lines: str
) -> None:
    given(tmp_path, f"    symbol: btc\n    currency: usd\n{lines}")
    points, became = read(tmp_path, "btc_usd_export.csv", DESTROYED)
    assert became == {"loaded": 3}
    assert one_series(points) == ("btc", "USD", "price", None)
    assert [point.price for point in points] == [
        "1010",
        "1010.1",
        "1010.2",
    ]


def test_a_column_can_be_left_out(tmp_path: Path) -> None:
    content = table(
        "date,Rate,Value",
        *(f"{day},99,100.{n}" for n, day in enumerate(DAYS)),
    )
    given(tmp_path, "    columns: {Rate: null}\n")
    points, _ = read(tmp_path, "ltc-eur.csv", content)
    assert [point.price for point in points] == ["100", "100.1", "100.2"]


def test_a_persons_currency_beats_a_column(tmp_path: Path) -> None:
    content = table(
        "date,symbol,currency,price",
        *(f"{day},ADA,EUR,5" for day in DAYS),
    )
    given(tmp_path, "    currency: usd\n")
    points, _ = read(tmp_path, "x.csv", content)
    assert one_series(points) == ("ada", "USD", "price", None)


@pytest.mark.parametrize(
    "lines",
    [
        "    symbol: …\n",
        "    columns: {price: …}\n",
        "    columns: {price: nowhere}\n",
        "    columns: {colour: price}\n",
        "    columns: {nowhere: null}\n",
        "    columns: {open: price, high: price}\n",
        "    columns: {price: note}\n",
        "    columns: {time: note}\n",
        "    currency: usd\n    columns: {currency: note}\n",
        "    columns: {open: price}\n",
    ],
)
def test_what_contradicts_itself_or_the_file_is_a_bad_mapping(
    tmp_path: Path, lines: str
) -> None:
    given(tmp_path, lines)
    content = table(
        "date,price,note", *(f"{day},5,hello" for day in DAYS)
    )
    with pytest.raises(TaskError) as caught:
        read(tmp_path, "btc-usd.csv", content)
    assert caught.value.code == "bad_mapping"


def test_the_lines_that_are_offered_come_from_the_file(
    tmp_path: Path,
) -> None:
    content = table("date,price_eur", *(f"{day},5" for day in DAYS))
    error = refusal(tmp_path, "some_price_list.csv", content)
    assert "symbol: …" in error.message
    assert "currency: eur" in error.message
    assert "btc\n" not in error.message.partition("files:")[2]
    (tmp_path / "mapping.yaml").write_text(
        "files:" + error.message.partition("files:")[2]
    )
    with pytest.raises(TaskError, match="symbol is still …"):
        mapped(tmp_path, "some_price_list.csv")


def test_the_one_column_that_may_be_a_time_is_offered(
    tmp_path: Path,
) -> None:
    content = "\n".join(
        f"D00{n}:H1,41.5,43.5,40.25,42,7" for n in range(4)
    )
    error = refusal(tmp_path, "ltc-eur.csv", content + "\n")
    assert "columns: {time: 1}" in error.message


# -- what a look at a file says -------------------------------------------------------------------


def test_rows_that_will_be_refused_are_counted(tmp_path: Path) -> None:
    rows = [f"2021-03-{n:02},10,12,9,{20 + n},1" for n in range(1, 20)]
    name = "ltc-eur.csv"
    (tmp_path / name).write_text(table(f"date,{OHLCV}", *rows))
    found = profile(folder.find(tmp_path, name), overrides.Overrides())
    assert found is not None
    assert found.tried.rows == 19
    assert found.tried.refused == {"contradiction": 19}


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    for name in (
        "btc.xlsx",
        "notes.txt",
        "sub/eth.parquet",
        ".hidden",
        "mapping.yaml",
        "btc.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "far.csv").symlink_to("/etc/hostname")
    said = [found.sentence for found in folder.left_out(tmp_path)]
    assert [line.partition(" (")[0] for line in said] == [
        "not read: btc.xlsx",
        "not read: far.csv",
        "not read: notes.txt",
        "not read: sub/eth.parquet",
    ]
    assert "save it as CSV" in said[0]


def test_what_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    garbage = bytes(range(256)) * 40
    (tmp_path / "btc-bin.csv").write_bytes(garbage)
    with pytest.raises(TaskError) as caught:
        mapped(tmp_path, "btc-bin.csv")
    assert caught.value.code == "not_text"
    assert caught.value.message.isprintable()


def test_utf_16_is_called_utf_16(tmp_path: Path) -> None:
    content = table("date,price", *(f"{day},5" for day in DAYS))
    (tmp_path / "btc-usd.csv").write_bytes(content.encode("utf-16"))
    assert described_of(tmp_path, "btc-usd.csv")["encoding"] == "utf-16"


# -- what unseen files showed ----------------------------------------------------------------------

LONG = [f"2021-03-{day:02}" for day in range(1, 9)]


def by_day(header: str, *cells: str) -> str:
    """Each day once for each of the cells, which may hold `{n}`, the number of the day."""
    rows = [
        f"{day},{cell.format(n=number)}"
        for number, day in enumerate(LONG)
        for cell in cells
    ]
    return table(header, *rows)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "bitcoin.csv",
            by_day(
                "date,metric,value", "price,42{n}", "volume,3000000{n}"
            ),
        ),
        (
            "btc-usd.csv",
            by_day("Date,Hour,Price", "0,42.{n}", "1,43.{n}"),
        ),
        (
            "btc-usd.csv",
            by_day("date,strike,price", "50000,41{n}", "60000,5{n}"),
        ),
    ],
)
def test_rows_that_something_unread_tells_apart_are_refused(
    tmp_path: Path, name: str, content: str
) -> None:
    assert refusal(tmp_path, name, content).code == "repeated_times"


def test_a_column_of_codes_names_the_coins_beside_a_files_name(
    tmp_path: Path,
) -> None:
    content = by_day("date,code,close", "BTC,42{n}", "ETH,15{n}")
    points, _ = read(tmp_path, "btc-usd.csv", content)
    assert Counter(point.symbol for point in points) == {
        "btc": 8,
        "eth": 8,
    }


@pytest.mark.parametrize(
    "name",
    [
        "btc_open_interest_1h.csv",
        "btc_funding_rate.csv",
        "BTC_FundingRate.csv",
        "premiumIndexKlines/BTCUSDT-1h-2024-01.csv",
        "bitcoin-dominanz.csv",
    ],
)
def test_candles_of_another_quantity_are_no_prices(
    tmp_path: Path, name: str
) -> None:
    content = candles(
        [f"2021-03-01 0{hour}:00" for hour in range(4)], f"time,{OHLCV}"
    )
    assert refusal(tmp_path, name, content).code == "not_prices"


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Date,Volume,Volume Average", "7,5"),
        ("Date,Close %", "1.5"),
        ("Date,Market Cap Close", "8000"),
    ],
)
def test_a_name_that_says_more_than_a_price_is_none(
    tmp_path: Path, header: str, row: str
) -> None:
    content = table(header, *(f"{day},{row}" for day in LONG))
    found = refusal(tmp_path, "btc-usd.csv", content)
    assert found.code == "unknown_columns"


@pytest.mark.parametrize("unit", ["Change", "MA", "paid", "Rank"])
def test_a_word_behind_volume_is_no_coin(
    tmp_path: Path, unit: str
) -> None:
    content = by_day(f"Date,Close,Volume {unit}", "42.{n},7")
    found = refusal(tmp_path, "prices.csv", content)
    assert found.code == "unknown_symbol"


def test_a_percentage_beside_the_price_shows_the_decimal_comma(
    tmp_path: Path,
) -> None:
    rows = [f'"0{n}.03.2021","12{n},575","-1,2{n}%"' for n in range(1, 9)]
    content = table('"Datum","Zuletzt","+/- %"', *rows)
    points, _ = read(tmp_path, "SOL_USD.csv", content)
    assert [point.price for point in points][:2] == ["121.575", "122.575"]


@pytest.mark.parametrize(
    ("mapping", "content"),
    [
        ("decimal: ','", by_day("Date,Price", "1.{n}5")),
        (
            "dates: month_first",
            table(
                "Date,Price", *(f"{n}/03/2021,42" for n in range(11, 20))
            ),
        ),
        ("symbol: btc", by_day("date,symbol,close", "BTC,42", "ETH,15")),
        (
            "columns: {currency: Volume}",
            by_day("Date,Price,Volume", "4,7"),
        ),
        ("columns: {volume: Date}", by_day("Date,Price,Volume", "4,7")),
    ],
)
def test_lines_that_the_cells_contradict_are_bad(
    tmp_path: Path, mapping: str, content: str
) -> None:
    text = f"files:\n  - file: '*'\n    {mapping}\n"
    (tmp_path / "mapping.yaml").write_text(text)
    found = refusal(tmp_path, "btc-usd.csv", content)
    assert found.code == "bad_mapping"


def test_entries_of_a_mapping_file_add_their_columns(
    tmp_path: Path,
) -> None:
    (tmp_path / "mapping.yaml").write_text(
        "files:\n  - file: '*'\n    columns: {time: Day}\n"
        "  - file: 'a[1].csv'\n    columns: {price: Worth}\n"
    )
    given = overrides.load(tmp_path).overrides_for("a[1].csv").columns
    assert given == {"time": "Day", "price": "Worth"}


def test_a_mapping_file_of_texts_is_refused_in_words(
    tmp_path: Path,
) -> None:
    (tmp_path / "mapping.yaml").write_text("files:\n  - 'btc-usd.csv'\n")
    with pytest.raises(TaskError, match="is no entry") as caught:
        overrides.load(tmp_path)
    assert caught.value.code == "bad_mapping"


@pytest.mark.parametrize(
    "name", ["SMA 20", "Close.1", "RSI-14", "Top 10"]
)
def test_a_number_in_a_name_does_not_make_it_a_value(
    tmp_path: Path, name: str
) -> None:
    content = by_day(f"Date,Close,{name}", "42.{n},7")
    points, _ = read(tmp_path, "btc-usd.csv", content)
    assert len(points) == len(LONG)


def test_of_two_volumes_the_one_at_the_price_is_the_money(
    tmp_path: Path,
) -> None:
    rows = [f"{day},42,43,41,42.5,297.5,7" for day in LONG]
    content = table("time,open,high,low,close,vol,amount", *rows)
    points, _ = read(tmp_path, "btc-usdt.csv", content)
    assert {point.volume for point in points} == {"7"}


def test_years_of_two_digits_stand_in_front_where_days_run(
    tmp_path: Path,
) -> None:
    rows = [f"21/03/{day:02},42.5" for day in range(1, 13)]
    points, _ = read(tmp_path, "btc-usd.csv", table("Date,Price", *rows))
    assert points[-1].timestamp == "2021-03-12T00:00:00Z"


def test_a_sign_in_each_price_is_its_currency(tmp_path: Path) -> None:
    content = by_day("Date,Price", "€4{n}.5")
    points, _ = read(tmp_path, "btc-usd.csv", content)
    assert {point.currency for point in points} == {"EUR"}


def test_a_decimal_comma_that_cuts_a_number_in_two_is_refused(
    tmp_path: Path,
) -> None:
    content = by_day("Date,Price", "42,5{n}")
    found = refusal(tmp_path, "btc-eur.csv", content)
    assert found.code == "ambiguous_number"


@pytest.mark.parametrize(
    ("name", "header"),
    [
        (
            "bitcoin_price_and_market_cap.csv",
            "Date,Open,High,Low,Close,Market Cap",
        ),
        (
            "BTCUSDT_1h_funding_rate.csv",
            "Date,open,high,low,close,funding_rate",
        ),
        (
            "market-cap-top-100/bitcoin.csv",
            "Date,Open,High,Low,Close,Volume",
        ),
        (
            "volatility-study/BTC-USD.csv",
            "Date,Open,High,Low,Close,Volume",
        ),
    ],
)
def test_prices_beside_another_quantity_are_prices(
    tmp_path: Path, name: str, header: str
) -> None:
    content = by_day(header, "42,43,41,42.{n},7")
    points, _ = read(tmp_path, name, content)
    assert Counter(point.symbol for point in points) == {"btc": 8}


def test_a_list_in_quotes_is_no_decimal_comma(tmp_path: Path) -> None:
    content = by_day("Date,Price,Tags", '1.50{n},"1,2"')
    points, _ = read(tmp_path, "xrp-eur.csv", content)
    assert points[0].price == "1.5"


def test_a_code_that_is_not_the_files_coin_is_no_coin(
    tmp_path: Path,
) -> None:
    content = by_day("Date,code,Close", "USDT,42.{n}")
    points, _ = read(tmp_path, "BTCUSD.csv", content)
    assert {(point.symbol, point.currency) for point in points} == {
        ("btc", "USD")
    }


def test_trades_of_one_moment_are_trades(tmp_path: Path) -> None:
    rows = [
        f"2021-03-01 00:00:00.00{n // 4},buy,0.00001{n},7"
        for n in range(8)
    ]
    content = table("timestamp,side,price,amount", *rows)
    points, _ = read(tmp_path, "SHIBUSDT.csv", content)
    assert len(points) == len(rows)


def test_the_name_of_a_volume_with_a_span_is_a_name(
    tmp_path: Path,
) -> None:
    header = "Date,Open,High,Low,Close,Volume 24h (USD)"
    points, _ = read(
        tmp_path, "btc-usd.csv", by_day(header, "42,43,41,42.{n},7")
    )
    assert len(points) == len(LONG)


@pytest.mark.parametrize(
    "day",
    [
        "{n:02}Mar2021",
        "{n:02}/Mar/2021",
        "2021-Mar-{n:02}",
        "2021 Mar {n:02}",
        "Mo., {n:02}.03.2021",
        "2021/03/{n:02}(月)",
    ],
)
def test_dates_in_words_of_every_form(tmp_path: Path, day: str) -> None:
    rows = [f'"{day.format(n=n)}",42.5' for n in range(13, 19)]
    points, _ = read(tmp_path, "btc-usd.csv", table("Date,Price", *rows))
    assert points[0].timestamp == "2021-03-13T00:00:00Z"
    assert len(points) == len(rows)


def test_a_local_time_that_says_its_offset_is_certain(
    tmp_path: Path,
) -> None:
    rows = [f"2021-03-01 0{n}:00:00+02:00,42.5" for n in range(8)]
    points, _ = read(
        tmp_path, "btc-usd.csv", table("Local time,Price", *rows)
    )
    assert points[0].timestamp == "2021-02-28T22:00:00Z"


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    entry = "files:\n  - file: a.csv\n    symbol: btc\n"
    (tmp_path / "mapping.yaml").write_text(entry + entry)
    with pytest.raises(TaskError, match="'files' stands twice"):
        overrides.load(tmp_path)


def test_a_column_of_currencies_stays_one_whatever_a_cell_holds(
    tmp_path: Path,
) -> None:
    cells = ["USD"] * 9 + ["null", "BTC", "XXXXXXX", "€"]
    points, rejected = read(
        tmp_path, "btc_usd.csv", by_day_with("Currency", cells)
    )
    assert {point.symbol for point in points} == {"btc"}
    assert Counter(point.currency for point in points) == {
        "USD": 10,
        "EUR": 1,
    }
    assert rejected["unknown_currency"] == 2


def test_words_for_nothing_are_no_coins(tmp_path: Path) -> None:
    nothing = ["null", "None", "NaN", "undefined", "0", "1", "true", ""]
    points, rejected = read(
        tmp_path, "x.csv", by_day_with("Symbol", ["BTC"] * 9 + nothing)
    )
    assert {point.symbol for point in points} == {"btc"}
    assert rejected["unknown_symbol"] == len(nothing)


def by_day_with(column: str, cells: list[str]) -> str:
    rows = [
        f"2024-03-{day:02},{30_000 + day}.5,{cell}"
        for day, cell in enumerate(cells, 1)
    ]
    return table(f"Date,Close,{column}", *rows)


@pytest.mark.parametrize(
    ("name", "usual", "odd"),
    [
        ("bitcoin.csv", "${n}.5", ["€5", "£5", "A$5", "C$5", "¥5"]),
        ("btc_usd.csv", "{n}.5", ["€5", "5 EUR", "EUR 5", "5 €"]),
    ],
)
def test_an_amount_in_another_currency_is_a_dead_letter(
    name: str, usual: str, odd: list[str], tmp_path: Path
) -> None:
    cells = [usual.format(n=n) for n in range(1, 20)] + odd
    rows = [
        f"2024-03-{day:02},{cell}" for day, cell in enumerate(cells, 1)
    ]
    points, rejected = read(tmp_path, name, table("Date,Close", *rows))
    assert {point.currency for point in points} == {"USD"}
    assert rejected["another_currency"] == len(odd)


def test_a_dollar_may_be_of_another_country(tmp_path: Path) -> None:
    content = by_day("Date,Price", "${n}.5")
    points, _ = read(tmp_path, "btc-cad.csv", content)
    assert {point.currency for point in points} == {"CAD"}


def test_a_year_of_two_digits_among_whole_ones_is_not_guessed(
    tmp_path: Path,
) -> None:
    rows = [f"2024-03-{day:02},42.5" for day in range(1, 13)]
    content = table("Date,Price", *rows, "24-04-05,42.5")
    points, rejected = read(tmp_path, "btc-usd.csv", content)
    assert len(points) == 12
    assert rejected["ambiguous_date"] == 1


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF16_BE + (DAYS[0] * 99).encode("utf-16-le"),
        codecs.BOM_UTF16_LE + (DAYS[0] * 99).encode("utf-16-be"),
        gzip.compress(b"Date,Close"),
    ],
    ids=["little for big", "big for little", "packed twice"],
)
def test_what_nobody_can_read_is_no_file_without_rows(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "btc.csv.gz").write_bytes(gzip.compress(content))
    with pytest.raises(TaskError) as caught:
        profile(
            folder.find(tmp_path, "btc.csv.gz"), overrides.Overrides()
        )
    assert caught.value.code == "not_text"
