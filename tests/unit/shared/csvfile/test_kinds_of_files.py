"""What files of all kinds are taken for.

By names in the exporters' languages, by cells, by their own name; and what is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from embedded.settings import ROOT
from services.extractor.sources.csv_files.reader import FileReader
from services.normalizer.mapping.page import map_page
from shared.csvfile import folder, overrides
from shared.csvfile.profile import profile, profiled
from shared.errors import TaskError
from shared.messages.points import UnifiedData
from shared.runtime.confined import unmetered
from tests.support.pages import raw_page

REAL = ROOT.parent / "shared" / "realdata" / "csv"
DAYS = [date(2024, 1, 1) + timedelta(n) for n in range(40)]


def candles() -> list[tuple[float, float, float, float, float]]:
    """Open, high, low, close, volume: each open is the close before it."""
    rows, close = [], 42_000.0
    for n in range(len(DAYS)):
        opening, close = (
            close,
            round(close * (1.013 if n % 3 else 0.981), 2),
        )
        rows.append(
            (
                opening,
                round(max(opening, close) * 1.004, 2),
                round(min(opening, close) * 0.997, 2),
                close,
                100.5 + n * 7,
            )
        )
    return rows


ROWS = list(zip(DAYS, candles(), strict=True))


def unix(day: date) -> int:
    return int(
        datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    )


def de(number: float, mark: str = ".") -> str:
    return (
        f"{number:,.2f}".replace(",", "_")
        .replace(".", ",")
        .replace("_", mark)
    )


def lines(
    row: Callable[[date, float, float, float, float, float], str],
    rows: Any = None,
) -> str:
    return "".join(
        row(day, *values) + "\n" for day, values in rows or ROWS
    )


def read(
    root: Path, name: str, content: str | bytes
) -> tuple[list[UnifiedData], Counter[str]]:
    """The data points of a file, and what became of its rows."""
    (root / name).parent.mkdir(exist_ok=True, parents=True)
    (root / name).write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    return mapped(root, name)


def mapped(
    root: Path, name: str
) -> tuple[list[UnifiedData], Counter[str]]:
    points: list[UnifiedData] = []
    became: Counter[str] = Counter()
    given = overrides.load(root).overrides_for(name)
    reader = FileReader(
        folder.find(root, name),
        given,
        lambda *asked: next(profiled(unmetered, *asked)),
    )
    for piece in reader.slices(None):
        became.update(rejection.reason for rejection in piece.rejections)
        if piece.records:  # as they travel: through JSON
            page = map_page(
                raw_page(
                    piece.records,
                    stream=f"csv/{name}",
                    context=piece.context,
                )
            )
            points += page.points.rows()
            for outcome in (*page.skipped, *page.rejected):
                became[outcome.reason] += getattr(outcome, "count", 1)
            became["loaded"] += len(
                {point.record_index for point in page.points.rows()}
            )
    return points, became


def candle_at(point: UnifiedData) -> tuple[Any, ...]:
    return (
        point.symbol,
        point.currency,
        point.interval,
        point.timestamp[:10],
        *(
            float(v or 0)
            for v in (point.open, point.high, point.low, point.close)
        ),
    )


INVESTING = {
    "de": '"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"',
    "fr": '"Date","Dernier","Ouv."," Plus Haut","Plus Bas","Vol.","Variation %"',
    "es": '"Fecha","Último","Apertura","Máximo","Mínimo","Vol.","% var."',
    "it": '"Data","Ultimo","Apertura","Massimo","Minimo","Vol.","Var. %"',
    "pt": '"Data","Último","Abertura","Máxima","Mínima","Vol.","Var%"',
    "ru": '"Дата","Цена","Откр.","Макс.","Мин.","Объём","Изм. %"',
    "pl": '"Data","Ostatnio","Otwarcie","Max.","Min.","Wol.","Zmiana%"',
    "nl": '"Datum","Laatste","Open","Hoog","Laag","Vol.","Verschil %"',
    "tr": '"Tarih","Şimdi","Açılış","Yüksek","Düşük","Hac.","Fark %"',
    "sv": '"Datum","Senaste","Öppen","Högst","Lägst","Vol.","+/- %"',
}
NAMED: dict[
    str, tuple[str, str | bytes, str, str | None]
] = {  # kind: (name, content, symbol, currency)
    **{
        f"investing {language}": (
            "btc_eur.csv",
            "\ufeff"
            + header
            + "\n"
            + lines(
                lambda d, o, h, lo, c, v: (
                    f'"{d:%d.%m.%Y}","{de(c)}","{de(o)}","{de(h)}","{de(lo)}","{de(v)}K","1,2%"'
                )
            ),
            "btc",
            "EUR",
        )
        for language, header in INVESTING.items()
    },
    "investing zh": (
        "BTC_USD.csv",
        "日期,收盘,开盘,高,低,交易量,涨跌幅\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f'{d.year}-{d.month}-{d.day},"{c:,.2f}","{o:,.2f}",'
                f'"{h:,.2f}","{lo:,.2f}",{v:.2f}K,1%'
            )
        ),
        "btc",
        "USD",
    ),
    "investing ja": (
        "BTC_USD.csv",
        "日付け,終値,始値,高値,安値,出来高\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f"{d:%Y年%m月%d日},{c},{o},{h},{lo},{v}K"
            )
        ),
        "btc",
        "USD",
    ),
    "korean, utf-16": (
        "BTC_USD.csv",
        (
            "날짜,종가,시가,고가,저가,거래량\n"
            + lines(lambda d, o, h, lo, c, v: f"{d},{c},{o},{h},{lo},{v}")
        ).encode("utf-16"),
        "btc",
        "USD",
    ),
    "kraken, no header": (
        "XBTUSD_1440.csv",
        lines(
            lambda d, o, h, lo, c, v: (
                f"{unix(d)},{o},{h},{lo},{c},{v},{int(v)}"
            )
        ),
        "btc",
        "USD",
    ),
    "coinbase, no header": (
        "ETH-USD.csv",
        lines(
            lambda d, o, h, lo, c, v: f"{unix(d)},{lo},{h},{o},{c},{v}",
            ROWS[::-1],
        ),
        "eth",
        "USD",
    ),
    "a language that nobody knows": (
        "btc_usd.csv",
        "aika,avaus,ylin,alin,päätös,vaihto\n"
        + lines(lambda d, o, h, lo, c, v: f"{d},{o},{h},{lo},{c},{v}"),
        "btc",
        "USD",
    ),
    "nasdaq, mm/dd": (
        "btc_usd.csv",
        "Date,Close/Last,Open,High,Low\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f'{d:%m/%d/%Y},"${c:,.2f}","${o:,.2f}","${h:,.2f}","${lo:,.2f}"'
            )
        ),
        "btc",
        "USD",
    ),
    "dd/mm": (
        "btc_usd.csv",
        "Date,Open,High,Low,Close\n"
        + lines(
            lambda d, o, h, lo, c, v: f"{d:%d/%m/%Y},{o},{h},{lo},{c}"
        ),
        "btc",
        "USD",
    ),
    "metatrader": (
        "BTCUSD_mt5.csv",
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f"{d:%Y.%m.%d}\t00:00:00\t{o}\t{h}\t{lo}\t{c}\t{int(v)}"
            )
        ),
        "btc",
        "USD",
    ),
    "finam": (
        "x.csv",
        "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f"BTCUSD;D;{d:%Y%m%d};0;{o};{h};{lo};{c};{int(v)}"
            )
        ),
        "btc",
        "USD",
    ),
    "stooq": (
        "btcpln_d.csv",
        "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen\n"
        + lines(lambda d, o, h, lo, c, v: f"{d},{o},{h},{lo},{c},{v}"),
        "btc",
        "PLN",
    ),
    "tradingview": (
        "BINANCE_BTCUSDT, 1D.csv",
        "time,open,high,low,close,Volume,Volume MA\n"
        + lines(
            lambda d, o, h, lo, c, v: f"{unix(d)},{o},{h},{lo},{c},{v},"
        ),
        "btc",
        "USDT",
    ),
    "coinmarketcap, old": (
        "bitcoin.csv",
        "Date,Open*,High,Low,Close**,Volume,Market Cap\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f'"{d:%b %d, %Y}","{o:,.2f}","{h:,.2f}","{lo:,.2f}","{c:,.2f}",'
                f'"{int(v * 1e6):,}","{int(c * 1e7):,}"'
            )
        ),
        "btc",
        None,
    ),
    "okx": (
        "x.csv",
        "instrument_name,open,high,low,close,vol,vol_ccy,vol_quote,open_time,confirm\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f"BTC-USDT,{o},{h},{lo},{c},{v},{v},{v * c},{unix(d)}000,1"
            )
        ),
        "btc",
        "USDT",
    ),
    "cryptocompare": (
        "BTC_USD.csv",
        "time,high,low,open,volumefrom,volumeto,close\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f"{unix(d)},{h},{lo},{o},{v},{v * c:.2f},{c}"
            )
        ),
        "btc",
        "USD",
    ),
    "a pandas index": (
        "btc_usd.csv",
        ",date,open,high,low,close\n"
        + lines(
            lambda d, o, h, lo, c, v: f"{d.day},{d},{o},{h},{lo},{c}"
        ),
        "btc",
        "USD",
    ),
    "a delimiter behind each row": (
        "btc_usd.csv",
        "Date;Open;High;Low;Close\n"
        + lines(lambda d, o, h, lo, c, v: f"{d};{o};{h};{lo};{c};"),
        "btc",
        "USD",
    ),
    "a row of units": (
        "btc.csv",
        "Date,Open,High,Low,Close\n,USD,USD,USD,USD\n"
        + lines(lambda d, o, h, lo, c, v: f"{d},{o},{h},{lo},{c}"),
        "btc",
        "USD",
    ),
    "lines above the header name the coin": (
        "data.csv",
        "Bitcoin (BTC) Historical Data\nSource: somewhere\n\nDate,Open,High,Low,Close\n"
        + lines(lambda d, o, h, lo, c, v: f"{d},{o},{h},{lo},{c}"),
        "btc",
        None,
    ),
    "the folder names the coin": (
        "btc-usd/2024.csv",
        "Date,Open,High,Low,Close\n"
        + lines(lambda d, o, h, lo, c, v: f"{d},{o},{h},{lo},{c}"),
        "btc",
        "USD",
    ),
    "am and pm": (
        "btc_usd.csv",
        "Date,Open,High,Low,Close\n"
        + lines(lambda d, o, h, lo, c, v: f"{d} 12-AM,{o},{h},{lo},{c}"),
        "btc",
        "USD",
    ),
}


@pytest.mark.parametrize("kind", NAMED)
def test_candles_of_all_kinds_of_files_are_the_same_candles(
    tmp_path: Path, kind: str
) -> None:
    name, content, symbol, currency = NAMED[kind]
    points, became = read(tmp_path, name, content)
    assert became == {"loaded": len(ROWS)}
    expected = {
        (
            symbol,
            currency,
            "1d",
            str(day),
            *(round(v, 2) for v in values[:4]),
        )
        for day, values in ROWS
    }
    assert set(map(candle_at, points)) == expected


@pytest.mark.parametrize(
    ("name", "content", "currency"),
    [
        (
            "btc_eur.csv",
            "sep=;\nDatum;Kurs in EUR\n"
            + lines(lambda d, o, h, lo, c, v: f"{d:%d.%m.%Y};{de(c)}"),
            "EUR",
        ),
        (
            "btc_chf.csv",
            "Datum;Schlusskurs\n"
            + lines(
                lambda d, o, h, lo, c, v: (
                    f"{d:%d.%m.%Y};{c:,.2f}".replace(",", "'")
                )
            ),
            "CHF",
        ),
        (
            "btc_eur.csv",
            "Date;Cours\n"
            + lines(
                lambda d, o, h, lo, c, v: (
                    f"{d:%d/%m/%Y};{de(c, chr(0x202F))}"
                )
            ),
            "EUR",
        ),
        (
            "btc_usd.csv",
            "Date,Close\n"
            + lines(
                lambda d, o, h, lo, c, v: (
                    f"{(d - date(1899, 12, 30)).days},{c}"
                )
            ),
            "USD",
        ),
        (
            "btc_usd.csv",
            "time,price\n"
            + lines(
                lambda d, o, h, lo, c, v: (
                    f"{unix(d) * 10 ** (3 * (d.day % 4))},{c}"
                )
            ),
            "USD",
        ),
        (
            "btc_usd.csv",
            "date,price,note\n"
            + lines(
                lambda d, o, h, lo, c, v: (
                    f"{d.day}. {('Januar', 'Februar')[d.month - 1]} {d.year},{c},x"
                )
            ),
            "USD",
        ),
    ],
)
def test_prices_however_they_are_written(
    tmp_path: Path, name: str, content: str, currency: str
) -> None:
    points, became = read(tmp_path, name, content)
    assert became == {"loaded": len(ROWS)}
    assert {
        (
            p.kind,
            p.symbol,
            p.currency,
            p.timestamp[:10],
            float(p.price or 0),
        )
        for p in points
    } == {("price", "btc", currency, str(day), v[3]) for day, v in ROWS}


@pytest.mark.parametrize(
    ("header", "coins"),
    [
        ("Date,BTC,ETH,XYZ", ["btc", "eth", "xyz"]),
        ("timestamp,bitcoin,ethereum,dogecoin", ["btc", "eth", "doge"]),
        ("date,price_btc,price_eth,price_sol", ["btc", "eth", "sol"]),
        (
            (
                "Time,BTC / USD Denominated Closing Price,ETH / USD Denominated Closing"
                " Price,SOL / USD Denominated Closing Price"
            ),
            ["btc", "eth", "sol"],
        ),
        ("date,BTC-USD,ETH-USD,SOL-USD", ["btc", "eth", "sol"]),
        (
            "date,close_btcusdt,close_ethusdt,close_solusdt",
            ["btc", "eth", "sol"],
        ),
    ],
)
def test_a_wide_file_yields_a_point_per_coin(
    tmp_path: Path, header: str, coins: list[str]
) -> None:
    points, became = read(
        tmp_path,
        "export.csv",
        header
        + "\n"
        + lines(
            lambda d, o, h, lo, c, v: (
                f"{d},{c},{c / 20:.3f},{c / 300:.3f}"
            )
        ),
    )
    assert became == {"loaded": len(ROWS)}
    assert [point.symbol for point in points[:3]] == coins
    assert len(points) == 3 * len(ROWS)


def test_several_header_rows_and_candles_of_several_coins(
    tmp_path: Path,
) -> None:
    """yfinance's table of several tickers."""
    pairs = ",".join(["BTC-USD,ETH-USD"] * 4)
    header = f"Price,Close,Close,High,High,Low,Low,Open,Open\nTicker,{pairs}\nDate,,,,,,,,\n"
    points, became = read(
        tmp_path,
        "x.csv",
        header
        + lines(
            lambda d, o, h, lo, c, v: (
                f"{d},{c},{c / 20},{h},{h / 20},{lo},{lo / 20},{o},{o / 20}"
            )
        ),
    )
    assert became == {"loaded": len(ROWS)}
    assert Counter(
        (point.kind, point.symbol, point.currency) for point in points
    ) == {
        ("candle", "btc", "USD"): 40,
        ("candle", "eth", "USD"): 40,
    }


def test_several_currencies_of_one_coin(tmp_path: Path) -> None:
    points, _ = read(
        tmp_path,
        "btc.csv",
        "date,price_usd,price_eur\n"
        + lines(lambda d, o, h, lo, c, v: f"{d},{c},{c * 0.9:.2f}"),
    )
    assert Counter(point.currency for point in points) == {
        "USD": 40,
        "EUR": 40,
    }


def test_rows_without_values_are_skipped_and_destroyed_ones_are_not_believed(
    tmp_path: Path,
) -> None:
    body = [
        "2024-01-01,1,2,0.5,1.5",
        "2024-01-02,,,,",
        "2024-01-03,null,null,null,null",
        "2024-01-04,1,0.5,2,1",
        "2024-02-30,1,2,0.5,1.5",
        "2024-01-06,0,2,0,1",
        "2024-01-07,1,2,0.5,",
    ]
    _, became = read(
        tmp_path,
        "btc-usd.csv",
        "date,open,high,low,close\n"
        + "\n".join(
            [
                *body,
                *(f"2024-03-{n:02},1,2,0.5,1.5" for n in range(1, 30)),
            ]
        ),
    )
    assert became == {
        "loaded": 30,
        "no_value": 2,
        "contradiction": 1,
        "bad_time": 1,
        "zero_price": 1,
        "missing_value": 1,
    }


def test_a_number_that_a_spreadsheet_destroyed_is_not_believed(
    tmp_path: Path,
) -> None:
    content = "Datum;Kurs;Volumen\n" + lines(
        lambda d, o, h, lo, c, v: (
            f"{d:%d.%m.%Y};{'1.057.030.998.551.800' if d.day == 9 else de(c)};{de(v)}"
        )
    )
    assert read(tmp_path, "btc_eur.csv", content)[1] == {
        "loaded": 38,
        "destroyed_number": 2,
    }


def test_volumes_that_stand_in_each_others_column_are_seen_row_by_row(
    tmp_path: Path,
) -> None:
    rows = lines(
        lambda d, o, h, lo, c, v: (
            f"{d},{o},{h},{lo},{c},{c * v if d.day % 2 else v},{v if d.day % 2 else c * v}"
        )
    )
    points, _ = read(
        tmp_path,
        "btc-usd.csv",
        "Date,Open,High,Low,Close,Volume BTC,Volume USD\n" + rows,
    )
    assert [float(point.volume or 0) for point in points] == [
        values[4] for _, values in ROWS
    ]
    assert sum(bool(point.attributes) for point in points) == sum(
        day.day % 2 for day in DAYS
    )


REFUSED = {
    "dates that may be either": (
        "btc.csv",
        "Date,Price\n"
        + lines(lambda d, o, h, lo, c, v: f"{d:%d/%m/%Y},{c}", ROWS[:10]),
        "ambiguous_date",
        {"dates": "day_first"},
    ),
    "fractions or thousands": (
        "btc.csv",
        "date;price\n"
        + lines(lambda d, o, h, lo, c, v: f"{d};{c / 10000:.3f}"),
        "ambiguous_number",
        {"decimal": '"."'},
    ),
    "no coin": (
        "data.csv",
        "date,price\n" + lines(lambda d, o, h, lo, c, v: f"{d},{c}"),
        "unknown_symbol",
        {"symbol": "btc"},
    ),
    "bid and ask": (
        "btc.csv",
        "time,bid,ask\n"
        + lines(lambda d, o, h, lo, c, v: f"{d},{c},{c + 1}"),
        "unknown_columns",
        {"columns": "{price: bid}"},
    ),
    "price or amount": (
        "btc.csv",
        lines(lambda d, o, h, lo, c, v: f"{unix(d)},{c},{v}"),
        "no_header",
        {"columns": "{price: 2}"},
    ),
    "no time": (
        "btc.csv",
        "a,price\n" + lines(lambda d, o, h, lo, c, v: f"x,{c}"),
        "unknown_columns",
        {},
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_ambiguous_is_refused_with_the_lines_that_settle_it(
    tmp_path: Path, kind: str
) -> None:
    name, content, code, said = REFUSED[kind]
    with pytest.raises(TaskError) as caught:
        read(tmp_path, name, content)
    assert caught.value.code == code
    if said:
        ((key, value),) = said.items()
        assert "mapping.yaml" in caught.value.message
        assert f"{key}:" in caught.value.message
        (tmp_path / "mapping.yaml").write_text(
            f"files:\n  - file: '*.csv'\n    {key}: {value}\n"
        )
        assert mapped(tmp_path, name)[1]["loaded"] >= 10


def test_the_lines_of_a_refusal_can_be_written_as_they_are(
    tmp_path: Path,
) -> None:
    with pytest.raises(TaskError) as caught:
        read(
            tmp_path,
            "a: b's.csv",
            "Date,btc\n"
            + lines(
                lambda d, o, h, lo, c, v: f"{d:%d/%m/%Y},{c}", ROWS[:10]
            ),
        )
    (tmp_path / "mapping.yaml").write_text(
        caught.value.message.partition("mapping.yaml\n")[2]
    )
    assert mapped(tmp_path, "a: b's.csv")[1] == {"loaded": 10}


def test_a_time_zone_may_be_said_and_hours_that_come_twice_are_not_guessed(
    tmp_path: Path,
) -> None:
    (tmp_path / "mapping.yaml").write_text(
        "files: [{timezone: Europe/Berlin}]"
    )
    rows = [
        "2024-07-01 12:00",
        "2024-10-27 02:30",
        "2024-03-31 02:30",
        "2024-12-01 12:00",
        "2024-12-01T12:00:00Z",
    ]
    points, became = read(
        tmp_path,
        "btc-usd.csv",
        "time,price\n" + "".join(f"{row},1\n" for row in rows),
    )
    assert became == {"loaded": 3, "ambiguous_time": 2}
    assert [point.timestamp for point in points] == [
        "2024-07-01T10:00:00Z",
        "2024-12-01T11:00:00Z",
        "2024-12-01T12:00:00Z",
    ]


def test_what_is_concluded_is_said_with_reasons(tmp_path: Path) -> None:
    (tmp_path / "btc_usd.csv").write_text(
        "Date,Open,High,Low,Close,Mood\n"
        + lines(
            lambda d, o, h, lo, c, v: f"{d:%d/%m/%Y},{o},{h},{lo},{c},3"
        )
    )
    found = profile(
        folder.find(tmp_path, "btc_usd.csv"), overrides.Overrides()
    )
    assert found is not None
    said = found.described()
    assert said["unused_columns"] == ["Mood"]
    assert {reason["what"] for reason in said["reasons"]} == {
        "time",
        "dates",
        "symbol",
        "series",
        "currency",
        "interval",
    }
    assert "31" in next(
        reason["because"]
        for reason in said["reasons"]
        if reason["what"] == "dates"
    )
    assert len(msgspec.json.encode(found.context)) < 8_000


# What each real file must become: points, and rows by what became of them.
REAL_FILES: dict[str, tuple[int, dict[str, int]] | str] = {
    "binance_vision_btcusdt_1h_2024-12_ms": (744, {"loaded": 744}),
    "binance_vision_btcusdt_1h_2025-01_us": (744, {"loaded": 744}),
    "cdd_binance_futures_btcusdt_d_2021": (589, {"loaded": 589}),
    "cdd_bitstamp_btcusd_d_2020_floatunix": (2151, {"loaded": 2151}),
    "cdd_bitstamp_btcusd_d_2022": (2823, {"loaded": 2823}),
    "cdd_gemini_ethusd_d_2022": (2179, {"loaded": 2179, "zero_price": 1}),
    "cdd_kraken_btcusd_d_2019": (2191, {"loaded": 2191}),
    "cmc_export_btc_2025_semicolon_bom": (60, {"loaded": 60}),
    "coinbase_spot_buy_sell_2017_tiny": "unknown_symbol",
    "coingecko_export_btc_usd_max_2025": (4586, {"loaded": 4586}),
    "coinmetrics_btc_community_daily": (
        3382,
        {"loaded": 3382, "no_value": 561},
    ),
    "coinmetrics_charts_export_utf16_btc_eth": (240, {"loaded": 120}),
    "coinpaprika_api_export_eth_date_price": (336, {"loaded": 336}),
    "coinpaprika_web_export_btc_2024_eur": (365, {"loaded": 365}),
    "german_excel_wreck_btc_gomining": "unknown_columns",
    "investing_btc_usd_en_bom": (366, {"loaded": 366}),
    "investing_btc_usd_en_nobom_2020-2024": (1721, {"loaded": 1721}),
    "kaggle_cmc_coin_Bitcoin": (2862, {"loaded": 2862}),
    "yahoo_btc_usd_nulls_2018-2021": (
        1209,
        {"loaded": 1209, "no_value": 4},
    ),
    "yfinance_btc_usd_tz_dividends_2024": (3735, {"loaded": 3735}),
}


@pytest.mark.skipif(
    not REAL.exists(), reason="../shared/realdata is not there"
)
@pytest.mark.parametrize("stem", REAL_FILES)
def test_real_files_become_what_they_are(stem: str) -> None:
    expected = REAL_FILES[stem]
    if isinstance(expected, str):
        with pytest.raises(TaskError) as caught:
            mapped(REAL, f"{stem}.csv")
        assert caught.value.code == expected
    else:
        points, became = mapped(REAL, f"{stem}.csv")
        assert (len(points), became) == expected


@pytest.mark.skipif(
    not REAL.exists(), reason="../shared/realdata is not there"
)
def test_swapped_volumes_of_a_real_file() -> None:
    points, _ = mapped(REAL, "cdd_bitstamp_btcusd_d_2022.csv")
    swapped = [point.timestamp for point in points if point.attributes]
    assert (len(swapped), max(swapped)[:10]) == (1180, "2018-02-27")
