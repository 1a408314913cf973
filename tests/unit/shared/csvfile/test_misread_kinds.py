"""Kinds of files that were read wrongly without a word, each with the reading that it must have."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.normalizer.mapping.registry import NORMALIZER_VERSION
from shared.errors import TaskError
from tests.unit.shared.csvfile.test_kinds_of_files import read


def rows(head: str, template: str, count: int = 40) -> str:
    """`{n}` counts from 0, `{d}` the days of January 2024 from the 9th on."""
    lines = [
        template.format(n=n, d=9 + n % 22, p=42_000 + n)
        for n in range(count)
    ]
    return "\n".join([*([head] if head else []), *lines, ""])


def first(root: Path, name: str, text: str) -> dict[str, object]:
    point = read(root, name, text)[0][0]
    return {
        "symbol": point.symbol,
        "currency": point.currency,
        "time": point.timestamp,
        "close": float(point.close or point.price or 0),
        "volume": point.volume and float(point.volume),
        "base": point.base_volume and float(point.base_volume),
        "quote": point.quote_volume and float(point.quote_volume),
        "cap": point.market_cap and float(point.market_cap),
    }


def refused(root: Path, name: str, text: str) -> str:
    with pytest.raises(TaskError) as raised:
        read(root, name, text)
    return raised.value.code


@pytest.mark.parametrize(
    "clock", ["00:00:00.000", "10:00:00.123456", "9:00 a.m."]
)
def test_a_point_in_the_clock_says_nothing_of_the_day(
    tmp_path: Path, clock: str
) -> None:
    text = rows("Date,Close", f"01/{{d:02}}/2024 {clock},{{p}}", 20)
    points, became = read(tmp_path, "btc-usd.csv", text)
    assert points[0].timestamp.startswith("2024-01-09")
    assert became["loaded"] == 20
    few = rows("Date,Close", f"01/{{d:02}}/2024 {clock},{{p}}", 3)
    assert refused(tmp_path, "eth-usd.csv", few) == "ambiguous_date"


def test_days_between_years_and_months_are_refused(
    tmp_path: Path,
) -> None:
    text = rows("Date,Price", "2024-{d:02}-10,{p}", 20)
    assert refused(tmp_path, "btc-usd.csv", text) == "ambiguous_date"


@pytest.mark.parametrize(
    ("name", "price"),
    [("btc-krw.csv", 58_000_000), ("btc-vnd.csv", 1_050_000_000)],
)
def test_as_many_digits_as_a_date_has_make_none(
    tmp_path: Path, name: str, price: int
) -> None:
    # Each opens near where the one before has closed, as real ones do.
    opens = [price + 1_000 * (n * 7 % 11) for n in range(31)]
    lines = [
        f"{1_704_844_800 + 86_400 * n},{opens[n]},{max(opens[n : n + 2]) + 400 + n},"
        f"{min(opens[n : n + 2]) - 300 - n},{opens[n + 1] - 1},{566.5 + n}"
        for n in range(30)
    ]
    found = first(tmp_path, name, "\n".join(lines) + "\n")
    assert found["close"] == opens[1] - 1
    assert found["volume"] == 566.5


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("KRW-BTC", ("btc", "KRW")),
        ("USDT-ETH", ("eth", "USDT")),
        ("USDT_BTC", ("btc", "USDT")),
        ("EUR-BTC", ("btc", "EUR")),
        ("BTC-EUR", ("btc", "EUR")),
    ],
)
def test_the_quote_may_stand_first(
    tmp_path: Path, pair: str, expected: tuple[str, str]
) -> None:
    text = rows("market,time,close", f"{pair},2024-01-{{d:02}},{{p}}", 20)
    found = first(tmp_path, "x/all.csv", text)
    assert (found["symbol"], found["currency"]) == expected
    plain = rows("time,close", "2024-01-{d:02},{p}", 20)
    found = first(tmp_path, f"{pair}.csv", plain)
    assert (found["symbol"], found["currency"]) == expected


@pytest.mark.parametrize(
    ("head", "row", "hour"),
    [
        (
            "Date,Time,UTC Offset,Close",
            "2024-07-{d:02},00:00,+09:00,{p}",
            15,
        ),
        (
            "Time,Timezone,Close",
            "2024-07-{d:02} 00:00,Asia/Tokyo,{p}",
            15,
        ),
        (
            "Timezone: America/New_York\nTime,Close",
            "2024-07-{d:02} 00:00,{p}",
            4,
        ),
        (
            "# All times are UTC+9\nTime,Close",
            "2024-07-{d:02} 00:00,{p}",
            15,
        ),
        ("日時（日本時間）,終値", "2024-07-{d:02} 00:00,{p}", 15),
        ("Time (Beijing),Close", "2024-07-{d:02} 00:00,{p}", 16),
        ("Time (New York time),Close", "2024-07-{d:02} 00:00,{p}", 4),
        ("Time (heure de Paris),Close", "2024-07-{d:02} 00:00,{p}", 22),
    ],
)
def test_a_zone_is_read_wherever_it_is_said(
    tmp_path: Path, head: str, row: str, hour: int
) -> None:
    found = first(tmp_path, "btc-usd.csv", rows(head, row, 20))
    assert str(found["time"])[11:13] == f"{hour:02}", found


@pytest.mark.parametrize("whose", ["server time", "exchange time"])
def test_times_of_nobody_knows_where_are_refused(
    tmp_path: Path, whose: str
) -> None:
    text = rows(f"Time ({whose}),Close", "2024-07-{d:02} 00:00,{p}", 20)
    assert refused(tmp_path, "btc-usd.csv", text) == "unknown_zone"


def test_an_exchange_is_no_coin(tmp_path: Path) -> None:
    head = "Date,Open,High,Low,Close,Volume (BTC),Volume (Currency)"
    row = "2024-01-{d:02},42000,42900,41900,{p},10,420000"
    found = first(tmp_path, "KRAKENEUR.csv", rows(head, row, 20))
    assert (found["symbol"], found["currency"], found["base"]) == (
        "btc",
        "EUR",
        10,
    )
    plain = rows("Date,Close", "2024-01-{d:02},{p}", 20)
    assert refused(tmp_path, "BITSTAMPUSD.csv", plain) == "unknown_symbol"


def test_a_market_cap_is_of_its_currency(tmp_path: Path) -> None:
    text = rows(
        "date,price_usd,price_eur,market_cap_usd,total_volume_usd",
        "2024-01-{d:02},{p},38000,820000000000,30000000000",
        20,
    )
    points, _ = read(tmp_path, "btc.csv", text)
    of = {point.currency: point for point in points}
    assert of["USD"].market_cap is not None
    assert (of["EUR"].market_cap, of["EUR"].quote_volume) == (None, None)


@pytest.mark.parametrize(
    ("head", "currency"),
    [("Price C$", "CAD"), ("Price (A$)", "AUD"), ("Preço (R$)", "BRL")],
)
def test_dollars_are_those_that_are_said(
    tmp_path: Path, head: str, currency: str
) -> None:
    text = rows(f"Date,{head}", "2024-01-{d:02},{p}", 20)
    assert first(tmp_path, "btc.csv", text)["currency"] == currency


def test_bitcoin_per_dollar_is_no_price(tmp_path: Path) -> None:
    text = rows("Date,BTC per USD", "2024-01-{d:02},0.0000234{n}", 20)
    assert refused(tmp_path, "rate.csv", text)


def test_names_that_differ_by_case_are_asked_about(
    tmp_path: Path,
) -> None:
    lines = [
        f"{1704848399999 + 3_600_000 * n},{1704844800000 + 3_600_000 * n},"
        f"33.3,66.6,42000,42100,41900,{42050 + n}"
        for n in range(20)
    ]
    text = "\n".join(["T,t,V,v,o,h,l,c", *lines, ""])
    assert refused(tmp_path, "BTCUSDT.csv", text) == "ambiguous_time"


def test_the_candle_s_time_counts(tmp_path: Path) -> None:
    head = (
        "time_period_start;time_period_end;time_open;time_close;price_open;price_high;price_low;"
        "price_close"
    )
    row = (
        "2024-01-{d:02}T00:00:00Z;2024-01-{d:02}T01:00:00Z;2024-01-{d:02}T00:00:03.123Z;"
        "2024-01-{d:02}T00:59:57Z;42000;42900;41900;{p}"
    )
    found = first(tmp_path, "btc-usd.csv", rows(head, row, 20))
    assert found["time"] == "2024-01-09T00:00:00Z"
    upbit = (
        "market,candle_date_time_utc,candle_date_time_kst,opening_price,high_price,low_price,"
        "trade_price,timestamp,candle_acc_trade_price,candle_acc_trade_volume"
    )
    lines = [
        f"KRW-BTC,2024-01-{9 + n:02}T00:00:00,2024-01-{9 + n:02}T09:00:00,58000000,58400000,"
        f"57800000,{58270000 + n},{1704761999512 + 86_400_000 * n},33009955000,566.5"
        for n in range(20)
    ]
    found = first(tmp_path, "upbit.csv", "\n".join([upbit, *lines, ""]))
    assert found["time"] == "2024-01-09T00:00:00Z"
    assert (found["symbol"], found["currency"]) == ("btc", "KRW")
    assert (found["base"], found["quote"]) == (566.5, 33_009_955_000)


def test_what_was_never_paid_is_no_volume_in_money(
    tmp_path: Path,
) -> None:
    lines = [
        f"{1704844800000 + 3_600_000 * n},42000,42100,41900,{42050 + n},27976,"
        f"{1704848399999 + 3_600_000 * n},66.0,100,10,20,0"
        for n in range(20)
    ]
    head = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore"
    )
    found = first(
        tmp_path, "BTCUSD_PERP-1h.csv", "\n".join([head, *lines, ""])
    )
    assert (found["base"], found["quote"]) == (None, None)


def test_the_mapping_has_a_version_of_its_own() -> None:
    assert NORMALIZER_VERSION >= 6


def test_a_column_of_currencies_tells_rows_apart(tmp_path: Path) -> None:
    lines = [
        f"2024-01-{day:02},btc,{money},{price + day}"
        for day in range(1, 21)
        for money, price in (("usd", 42_000), ("eur", 38_000))
    ]
    text = "\n".join(["date,base,quote,price", *lines, ""])
    points, became = read(tmp_path, "all.csv", text)
    assert became["loaded"] == 40
    assert {(p.symbol, p.currency) for p in points} == {
        ("btc", "USD"),
        ("btc", "EUR"),
    }


def test_a_space_may_stand_before_a_quote(tmp_path: Path) -> None:
    text = rows('"date", "price"', '"2024-01-{d:02}", "{p}.5"', 20)
    found = first(tmp_path, "btc-usd.csv", text)
    assert found["close"] == 42_000.5


@pytest.mark.parametrize("is_money_first", [True, False])
def test_of_two_volumes_without_a_header_one_is_the_other_s_money(
    tmp_path: Path,
    is_money_first: bool,
) -> None:
    opens = [42_000 + 100 * (n * 7 % 11) for n in range(31)]
    lines = []
    for n in range(30):
        close, coins = opens[n + 1] - 1, 66.5 + n
        volumes = [coins * close, coins]
        one, two = volumes if is_money_first else volumes[::-1]
        lines.append(
            f"{1_704_844_800 + 86_400 * n},{opens[n]},{max(opens[n : n + 2]) + 40},"
            f"{min(opens[n : n + 2]) - 30},{close},{one},{two}"
        )
    found = first(tmp_path, "btc-usd.csv", "\n".join(lines) + "\n")
    assert (found["volume"], found["base"]) == (66.5, 66.5)
    assert found["quote"] == 66.5 * (opens[1] - 1)


def test_a_point_alone_is_no_value(tmp_path: Path) -> None:
    text = rows("observation_date,CBBTCUSD", "2024-01-{d:02},{p}", 20)
    points, became = read(
        tmp_path, "CBBTCUSD.csv", text + "2024-01-31,.\n"
    )
    assert (len(points), became["no_value"]) == (20, 1), became


def given(root: Path, name: str, **entry: str) -> None:
    body = "".join(
        f"    {key}: {value}\n" for key, value in entry.items()
    )
    (root / "mapping.yaml").write_text(
        f"files:\n  - file: {name}\n{body}"
    )


def test_what_a_person_says_counts_more_than_pairs(
    tmp_path: Path,
) -> None:
    given(tmp_path, "all.csv", currency="eur")
    text = rows("Symbol,time,close", "ETHUSDT,2024-01-{d:02},{p}", 20)
    found = first(tmp_path, "all.csv", text)
    assert (found["symbol"], found["currency"]) == ("eth", "EUR")
    other = rows("", "BTCUSD,2024-02-{d:02},{p}", 20)
    assert refused(tmp_path, "all.csv", text + other) == "bad_mapping"


@pytest.mark.parametrize(
    ("name", "over", "open_"),
    [("confirm", "1", "0"), ("is_closed", "true", "False")],
)
def test_a_candle_that_is_not_over_is_left_out(
    tmp_path: Path, name: str, over: str, open_: str
) -> None:
    def text(last: str) -> str:
        lines = [
            f"{1_709_251_200_000 + n * 86_400_000},1.5,2.5,1.2,2.{n:02},9,"
            + (over if n < 39 else last)
            for n in range(40)
        ]
        head = f"open_time,open,high,low,close,volume,{name}"
        return "\n".join([head, *lines, ""])

    points, became = read(tmp_path, "btc-usdt.csv", text(open_))
    assert (len(points), became["unfinished"]) == (39, 1)
    # A column of that name which holds something else says nothing of the kind.
    points, _ = read(tmp_path, "eth-usdt.csv", text("2"))
    assert len(points) == 40


def test_candles_at_any_distance_have_no_interval(tmp_path: Path) -> None:
    head = "Date,Open,High,Low,Close"
    days = [
        f"2024-03-{day:02}" for day in (1, 2, 4, 9, 10, 17, 19, 24, 30)
    ]
    months = [f"2023-{month:02}-01" for month in range(1, 13)]
    for name, dates, interval in (
        ("btc-usd.csv", days, None),
        ("eth-usd.csv", months, "1M"),
    ):
        lines = [f"{each},1.5,2.5,1.2,2.1" for each in dates]
        text = "\n".join([head, *lines, ""])
        points, _ = read(tmp_path, name, text)
        assert {point.interval for point in points} == {interval}


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("날짜,시가,고가,저가,종가,거래량", "cp949"),
        ("日期,开盘,最高,最低,收盘,成交量", "gb18030"),
        ("日付,始値,高値,安値,終値,出来高", "cp932"),
        ("Дата,Открытие,Максимум,Минимум,Закрытие,Объем", "cp1251"),
    ],
)
def test_a_header_tells_in_which_encoding_it_is_written(
    tmp_path: Path, head: str, encoding: str
) -> None:
    text = rows(head, "2024-01-{d:02},{p}.2,{p}.9,{p}.1,{p}.5,7", 20)
    points, _ = read(tmp_path, "btc-usd.csv", text.encode(encoding))
    assert (points[0].close, points[0].volume) == ("42000.5", "7")


def test_numbers_before_names_only_count_them(tmp_path: Path) -> None:
    head = (
        "timestamp,1a. open (EUR),1b. open (USD),2a. high (EUR),2b. high (USD),3a. low (EUR),"
        "3b. low (USD),4a. close (EUR),4b. close (USD),5. volume,6. market cap (USD)"
    )
    text = rows(
        head,
        "2024-01-{d:02},{p}.2,{p}.3,{p}.8,{p}.9,{p}.1,{p}.2,{p}.4,{p}.5,7,9",
        20,
    )
    points, _ = read(tmp_path, "btc.csv", text)
    assert {(each.currency, each.close) for each in points[:2]} == {
        ("EUR", "42000.4"),
        ("USD", "42000.5"),
    }
