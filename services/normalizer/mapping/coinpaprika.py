"""CoinPaprika's tickers, one `ticker` point per quote currency; its history as candles, prices."""

from __future__ import annotations

from typing import Any

from services.normalizer.mapping.base import (
    MapRecord,
    Outcome,
    PageInfo,
    data_point,
    rejecting_bad_values,
    without_empty,
)
from shared.messages.base import Json
from shared.messages.pages import Rejection, Skip
from shared.messages.points import TimestampIs, UnifiedData
from shared.values.amounts import amount
from shared.values.candles import OHLC, check_candle
from shared.values.times import iso, timestamp

_OF_QUOTE = ("price", "volume_24h", "market_cap")
_OF_COIN = (
    "name",
    "rank",
    "circulating_supply",
    "total_supply",
    "max_supply",
    "beta_value",
    "first_data_at",
)


def compile_mapping(info: PageInfo) -> MapRecord:
    kind = str(info.context.get("kind"))
    map_one, field = _BY_KIND.get(kind, (_ticker, "last_updated"))

    def time_of(record: Any) -> str:
        return _moment(field, record)

    return rejecting_bad_values(info, map_one, time_of)


def _moment(field: str, record: Any) -> str:
    """Raises BadValueError."""
    return iso(timestamp(field, record.get(field)))


def _missing(field: str, message: str) -> Rejection:
    return Rejection(reason="missing_value", field=field, message=message)


def _ticker(info: PageInfo, index: int, record: Any) -> Outcome:
    coin = record.get("id")
    symbol = record.get("symbol")
    quotes = record.get("quotes")
    if not isinstance(coin, str):
        return _missing("id", "a ticker needs an id and a symbol")
    if not isinstance(symbol, str) or not symbol:
        return _missing("symbol", "a ticker needs an id and a symbol")
    if not isinstance(quotes, dict) or not quotes:
        return _missing("quotes", "the ticker has no quotes")
    moment = _moment("last_updated", record)
    points = []
    for currency, quote in quotes.items():
        point = _quote(info, index, record, moment, currency, quote)
        if point is not None:
            points.append(point)
    return points or Skip(index=index, reason="no_price")


def _quote(
    info: PageInfo,
    index: int,
    record: Json,
    moment: str,
    currency: str,
    quote: Any,
) -> UnifiedData | None:
    """The ticker in one currency, None where it has no price: 0 says that nothing is traded."""
    field = f"quotes.{currency}"
    price = amount(
        f"{field}.price",
        quote.get("price") if isinstance(quote, dict) else None,
    )
    if price is None or price == "0":
        return None
    coin = record["id"]
    volume = amount(f"{field}.volume_24h", quote.get("volume_24h"))
    return data_point(
        info,
        index,
        ("ticker", coin, currency, "", moment),
        kind="ticker",
        timestamp=moment,
        instrument=coin,
        symbol=record["symbol"].lower(),
        currency=currency.upper(),
        price=price,
        volume=volume,
        market_cap=amount(f"{field}.market_cap", quote.get("market_cap")),
        quote_volume=volume,
        timestamp_is=TimestampIs.MOMENT,
        attributes=_attributes(record, quote),
    )


def _candle(info: PageInfo, index: int, record: Any) -> Outcome:
    """A day's candle. That of a day which is not over changes later: its begin is its identity."""
    prices = tuple(amount(role, record.get(role)) for role in OHLC)
    if prices == (None,) * 4:
        return Skip(index=index, reason="no_value")
    check_candle(prices)
    subject = _subject(info)
    moment = _moment("time_open", record)
    interval = str(info.context.get("interval"))
    volume = amount("volume", record.get("volume"))
    point = data_point(
        info,
        index,
        (
            "candle",
            subject["instrument"],
            subject["currency"],
            interval,
            moment,
        ),
        kind="candle",
        timestamp=moment,
        **subject,
        interval=interval,
        **dict(zip(OHLC, prices, strict=True)),
        volume=volume,
        market_cap=amount("market_cap", record.get("market_cap")),
        quote_volume=volume,
        timestamp_is=TimestampIs.OPEN,
    )
    return [point]


def _price(info: PageInfo, index: int, record: Any) -> Outcome:
    price = amount("price", record.get("price"))
    if price is None or price == "0":
        return Skip(index=index, reason="no_price")
    subject = _subject(info)
    moment = _moment("timestamp", record)
    volume = amount("volume_24h", record.get("volume_24h"))
    point = data_point(
        info,
        index,
        ("price", subject["instrument"], subject["currency"], "", moment),
        kind="price",
        timestamp=moment,
        **subject,
        price=price,
        volume=volume,
        market_cap=amount("market_cap", record.get("market_cap")),
        quote_volume=volume,
        timestamp_is=TimestampIs.MOMENT,
    )
    return [point]


def _subject(info: PageInfo) -> dict[str, str]:
    """What a record of history is of: it does not say so itself."""
    context = info.context
    return {
        "instrument": str(context["coin"]),
        "symbol": str(context["symbol"]).lower(),
        "currency": str(context["quote"]),
    }


def _attributes(record: Json, quote: Json) -> Json:
    """What has no column of its own, as it came."""
    own = {name: record[name] for name in _OF_COIN if name in record}
    return {**without_empty(own, ()), **without_empty(quote, _OF_QUOTE)}


_BY_KIND = {
    "ohlcv": (_candle, "time_open"),
    "historical": (_price, "timestamp"),
}
