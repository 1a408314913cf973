"""CoinPaprika's tickers: one `ticker` point per quote currency, at the time that CoinPaprika gives; its history as candles and prices."""

from __future__ import annotations

from typing import Any

from services.normalizer.mapping.base import MapRecord, Outcome, PageInfo, amount, check_candle, data_point, rejection
from shared.csvfile.column_names import OHLC
from shared.errors import BadValueError
from shared.messages.pages import Rejection, Skip
from shared.values.times import iso, timestamp


def compile_mapping(info: PageInfo) -> MapRecord:
    map_one = {"ohlcv": _candle, "historical": _price}.get(str(info.context.get("kind")), _ticker)

    def map_record(index: int, record: Any) -> Outcome:
        try:
            return map_one(info, index, record)
        except BadValueError as error:
            return rejection(error)

    return map_record


def _ticker(info: PageInfo, index: int, record: Any) -> Outcome:
    coin, symbol, quotes = record.get("id"), record.get("symbol"), record.get("quotes")
    if not isinstance(coin, str) or not isinstance(symbol, str) or not symbol:
        return Rejection(
            reason="missing_value", field="id" if not isinstance(coin, str) else "symbol", message="a ticker needs an id and a symbol"
        )
    if not isinstance(quotes, dict) or not quotes:
        return Rejection(reason="missing_value", field="quotes", message="the ticker has no quotes")
    moment = iso(timestamp("last_updated", record.get("last_updated")))
    points = []
    for currency, quote in quotes.items():
        price = amount(f"quotes.{currency}.price", quote.get("price") if isinstance(quote, dict) else None)
        if price is None:
            continue
        points.append(data_point(
            info, index, ("ticker", coin, currency, "", moment),
            kind="ticker", timestamp=moment, instrument=coin, symbol=symbol.lower(), currency=currency.upper(), price=price,
            volume=amount(f"quotes.{currency}.volume_24h", quote.get("volume_24h")),
            market_cap=amount(f"quotes.{currency}.market_cap", quote.get("market_cap")),
            attributes=_attributes(record, quote),
        ))  # fmt: skip
    return points or Skip(index=index, reason="no_price")


def _candle(info: PageInfo, index: int, record: Any) -> Outcome:
    """A day's candle. The last of a day that is not over changes later, so its beginning is its identity."""
    prices = tuple(amount(role, record.get(role)) for role in OHLC)
    if prices == (None,) * 4:
        return Skip(index=index, reason="no_value")
    check_candle(prices)
    what = _what(info)
    moment, interval = iso(timestamp("time_open", record.get("time_open"))), str(info.context.get("interval"))
    key = ("candle", what["instrument"], what["currency"], interval, moment)
    return [data_point(
        info, index, key, kind="candle", timestamp=moment, **what, interval=interval, **dict(zip(OHLC, prices, strict=True)),
        volume=amount("volume", record.get("volume")), market_cap=amount("market_cap", record.get("market_cap")),
    )]  # fmt: skip


def _price(info: PageInfo, index: int, record: Any) -> Outcome:
    price = amount("price", record.get("price"))
    if price is None:
        return Skip(index=index, reason="no_price")
    what, moment = _what(info), iso(timestamp("timestamp", record.get("timestamp")))
    return [data_point(
        info, index, ("price", what["instrument"], what["currency"], "", moment), kind="price", timestamp=moment, **what, price=price,
        volume=amount("volume_24h", record.get("volume_24h")), market_cap=amount("market_cap", record.get("market_cap")),
    )]  # fmt: skip


def _what(info: PageInfo) -> dict[str, str]:
    """What a record of history is of: it does not say so itself."""
    context = info.context
    return {"instrument": str(context["coin"]), "symbol": str(context["symbol"]).lower(), "currency": str(context["quote"])}


def _attributes(record: dict[str, Any], quote: dict[str, Any]) -> dict[str, Any]:
    """What has no column of its own, as it came."""
    own = {
        name: record[name]
        for name in ("name", "rank", "circulating_supply", "total_supply", "max_supply", "beta_value", "first_data_at")
        if record.get(name) not in (None, "")
    }
    return {
        **own,
        **{name: value for name, value in quote.items() if name not in ("price", "volume_24h", "market_cap") and value not in (None, "")},
    }
