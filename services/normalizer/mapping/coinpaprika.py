"""CoinPaprika's tickers: one `ticker` point per quote currency, at the time that CoinPaprika gives."""

from __future__ import annotations

from typing import Any

from services.normalizer.mapping.base import MapRecord, Outcome, PageInfo, data_point, rejection
from shared.errors import BadValueError
from shared.events import Rejection, Skip
from shared.values.numbers import number
from shared.values.times import iso, timestamp


def compile_mapping(info: PageInfo) -> MapRecord:
    def map_record(index: int, record: Any) -> Outcome:
        try:
            return _ticker(info, index, record)
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
        price = _amount(f"quotes.{currency}.price", quote.get("price") if isinstance(quote, dict) else None)
        if price is None:
            continue
        points.append(data_point(
            info, index, ("ticker", coin, currency, "", moment),
            kind="ticker", timestamp=moment, instrument=coin, symbol=symbol.lower(), currency=currency.upper(), price=price,
            volume=_amount(f"quotes.{currency}.volume_24h", quote.get("volume_24h")),
            market_cap=_amount(f"quotes.{currency}.market_cap", quote.get("market_cap")),
            attributes=_attributes(record, quote),
        ))  # fmt: skip
    return points or Skip(index=index, reason="no_price")


def _amount(field: str, value: Any) -> str | None:
    amount = number(field, value)
    if amount is not None and amount.startswith("-"):
        raise BadValueError(field, "negative", f"{field} is negative: {amount}")
    return amount


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
