"""CoinGecko's markets: one `ticker` point a coin, at the time that CoinGecko gives."""

from __future__ import annotations

from typing import Any

from services.normalizer.mapping.base import MapRecord, Outcome, PageInfo, amount, data_point, rejection
from shared.errors import BadValueError
from shared.messages.pages import Rejection, Skip
from shared.values.times import iso, timestamp

_OWN = ("current_price", "total_volume", "market_cap", "id", "symbol", "last_updated", "image")  # have a column, or nothing to say


def compile_mapping(info: PageInfo) -> MapRecord:
    currency = str(info.context.get("currency", "USD"))

    def map_record(index: int, record: Any) -> Outcome:
        try:
            return _market(info, index, record, currency)
        except BadValueError as error:
            return rejection(error)

    return map_record


def _market(info: PageInfo, index: int, record: dict[str, Any], currency: str) -> Outcome:
    coin, symbol = record.get("id"), record.get("symbol")
    if not isinstance(coin, str) or not isinstance(symbol, str) or not symbol:
        return Rejection(reason="missing_value", field="symbol", message="a market needs an id and a symbol")
    price, volume, cap = (amount(name, record.get(name)) for name in ("current_price", "total_volume", "market_cap"))
    if price is None:
        return Skip(index=index, reason="no_price")
    moment = iso(timestamp("last_updated", record.get("last_updated")))
    return [data_point(
        info, index, ("ticker", coin, currency, "", moment), kind="ticker", timestamp=moment, instrument=coin, symbol=symbol.lower(),
        currency=currency, price=price, volume=volume, market_cap=cap,
        attributes={name: value for name, value in record.items() if name not in _OWN and value not in (None, "")},
    )]  # fmt: skip
