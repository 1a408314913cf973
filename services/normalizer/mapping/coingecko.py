"""CoinGecko's markets: one `ticker` point a coin, at the time that CoinGecko gives."""

from __future__ import annotations

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
from shared.messages.points import TimestampIs
from shared.values.amounts import amount
from shared.values.times import iso, timestamp

# These have a column, or nothing to say.
_OWN = (
    "current_price",
    "total_volume",
    "market_cap",
    "id",
    "symbol",
    "last_updated",
    "image",
)


def compile_mapping(info: PageInfo) -> MapRecord:
    return rejecting_bad_values(info, _market, _moment)


def _moment(record: Json) -> str:
    """Raises BadValueError."""
    return iso(timestamp("last_updated", record.get("last_updated")))


def _market(info: PageInfo, index: int, record: Json) -> Outcome:
    coin = record.get("id")
    symbol = record.get("symbol")
    if (
        not isinstance(coin, str)
        or not isinstance(symbol, str)
        or not symbol
    ):
        message = "a market needs an id and a symbol"
        return Rejection(
            reason="missing_value", field="symbol", message=message
        )
    currency = str(info.context.get("currency", "USD"))
    price = amount("current_price", record.get("current_price"))
    volume = amount("total_volume", record.get("total_volume"))
    market_cap = amount("market_cap", record.get("market_cap"))
    if price is None or price == "0":
        return Skip(index=index, reason="no_price")
    moment = _moment(record)
    point = data_point(
        info,
        index,
        ("ticker", coin, currency, "", moment),
        kind="ticker",
        timestamp=moment,
        instrument=coin,
        symbol=symbol.lower(),
        currency=currency,
        price=price,
        volume=volume,
        market_cap=market_cap,
        quote_volume=volume,
        timestamp_is=TimestampIs.MOMENT,
        attributes=without_empty(record, _OWN),
    )
    return [point]
