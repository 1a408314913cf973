"""Symbols and pairs in names of files and columns."""

from __future__ import annotations

import pytest

from shared.values.symbols import pair_from_name, parse_pair


@pytest.mark.parametrize(
    ("stem", "instrument"),
    [
        ("btc", "btc"),
        ("BTC-USD", "btc-usd"),
        ("BTCUSDT-1h-2024-12", "btc-usdt"),
        ("XBTUSD", "btc-usd"),
        ("btc-usd-max", "btc-usd"),
        ("coin_Bitcoin", "btc"),
        ("Ethereum", "eth"),
        ("binance_vision_FILUSDT_1m_2023_5months", "fil-usdt"),
        ("cdd_bitstamp_btcusd_d_2022", "btc-usd"),
        ("yahoo_btc_usd_nulls_2018-2021", "btc-usd"),
        ("wbtc", "wbtc"),
        ("ABCUSDT-1m", "abc-usdt"),
        ("coinpaprika_web_export_btc_2024_eur", "btc-eur"),
        ("bitcoin-cash-usd-max", "bch-usd"),
        ("Bitcoin Cash Historical Data - Investing.com", "bch"),
        ("ethereum-classic-usd-max", "etc-usd"),
        ("wrapped-bitcoin-usd-max", "wbtc-usd"),
        ("solana-eth", "sol-eth"),
        ("usdt-try-max", "usdt-try"),
        ("USDT_BTC", "btc-usdt"),
        ("ripple-usd-max", "xrp-usd"),
        ("liquid-btc-usd", "btc-usd"),
        ("CBBTCUSD", "btc-usd"),
        ("coin_BinanceCoin", "bnb"),
    ],
)
def test_what_a_files_name_says(stem: str, instrument: str) -> None:
    pair = pair_from_name(stem)
    assert pair is not None
    assert pair.instrument == instrument


@pytest.mark.parametrize(
    "stem",
    [
        "2024",
        "export_2024",
        "prices-all",
        "",
        "bitcoin-diamond",
        "baby-doge-coin",
    ],
)
def test_names_that_say_nothing(stem: str) -> None:
    assert pair_from_name(stem) is None


@pytest.mark.parametrize(
    ("text", "instrument"),
    [
        ("BTC/USDT", "btc-usdt"),
        ("BTCUSD", "btc-usd"),
        ("eth", "eth"),
        ("XBT/EUR", "btc-eur"),
        ("1000SHIB/USDT", "1000shib-usdt"),
        ("BINANCE/BTCUSDT", "btc-usdt"),
        ("X:BTCUSD", "btc-usd"),
        ("$BTC", "btc"),
        ("BTC_USDT:USDT", "btc-usdt"),
        ("tDOGE:USD", "doge-usd"),
        ("BTCUSDT.P", "btc-usdt"),
        ("BTC/USD.KRAKEN", "btc-usd"),
        ("XETHXXBT", "eth-btc"),
        ("Bitcoin USD", "btc-usd"),
        ("Bitcoin - BTC", "btc"),
        ("ripple-usd", "xrp-usd"),
    ],
)
def test_pairs(text: str, instrument: str) -> None:
    pair = parse_pair(text)
    assert pair is not None
    assert pair.instrument == instrument


@pytest.mark.parametrize("stem", ["prices", "ohlcv", "data", "history"])
def test_ordinary_words_are_no_coins(stem: str) -> None:
    assert pair_from_name(stem) is None


@pytest.mark.parametrize(
    ("stem", "instrument"),
    [
        ("one_year_btc", "btc"),
        ("near_real_time_btc", "btc"),
        ("first_try_btc", "btc"),
        ("crvusd", "crvusd"),
        ("link", "link"),
    ],
)
def test_words_give_way_to_coins(stem: str, instrument: str) -> None:
    pair = pair_from_name(stem)
    assert pair is not None
    assert pair.instrument == instrument


@pytest.mark.parametrize(
    ("stem", "instrument"),
    [
        ("USDT_BTC", "btc-usdt"),
        ("XXBTZUSD", "btc-usd"),
        ("tBTCUSD", "btc-usd"),
        ("XYZ", "xyz"),
    ],
)
def test_exchanges_own_ways_of_naming_pairs(
    stem: str, instrument: str
) -> None:
    pair = pair_from_name(stem)
    assert pair is not None
    assert pair.instrument == instrument


@pytest.mark.parametrize(
    "stem", ["mydata", "copy", "kraken", "usd", "USD"]
)
def test_a_name_that_is_no_known_coin_is_not_made_one(stem: str) -> None:
    assert pair_from_name(stem) is None


def test_a_sign_alone_is_no_coin() -> None:
    assert parse_pair("$") is None
