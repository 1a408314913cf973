"""CSV rows: candles where a row has open, high, low and close, prices where it has a price only."""

from __future__ import annotations

import re
from typing import Any

from services.normalizer.mapping.base import BadValueError, MapRecord, Outcome, PageInfo, canonical, data_point, iso, number
from services.normalizer.mapping.csv_columns import OHLC, Plan, build_plan
from shared.events import Rejection, Skip

_EITHER = re.compile(r"-?\d{1,3},\d{3}", re.ASCII)
_DOTTED = re.compile(r"-?\d{1,3}(?:\.\d{3})+", re.ASCII)


def compile_mapping(info: PageInfo) -> MapRecord:
    context = info.context
    header, sample = tuple(context.get("columns") or ()), tuple(tuple(row) for row in context.get("sample") or ())
    plan = build_plan(str(context.get("path", "")), str(context.get("delimiter", ",")), header, sample)
    map_row = _candle if plan.is_candle else _price

    def map_record(index: int, row: Any) -> Outcome:
        if len(row) != plan.width:
            return Rejection(reason="wrong_column_count", message=f"the row has {len(row)} cells, the header {plan.width}")
        try:
            return map_row(info, plan, index, row)
        except BadValueError as error:
            return error.rejection()

    return map_record


_PLAIN_NUMBERS = re.compile(r"\d{1,30}(?:\.\d{1,60})?(?:\x1f\d{1,30}(?:\.\d{1,60})?)*", re.ASCII)
_CANDLE = (*OHLC, "volume", "market_cap")


def _candle_amounts(plan: Plan, row: list[str]) -> list[str | None]:
    """Open, high, low, close, volume, market cap. Nearly all rows are plain numbers: those are checked in one go."""
    positions = plan.candle_positions
    texts = [row[position] for position in positions]
    if plan.comma == "thousands" and _PLAIN_NUMBERS.fullmatch("\x1f".join(texts)):
        plain = iter([canonical(text) if text[-1] == "0" or text[0] == "0" else text for text in texts])
        return [next(plain) if role in plan.columns else None for role in _CANDLE]
    return [_amount(plan, row, role) for role in _CANDLE]


def _amount(plan: Plan, row: list[str], role: str) -> str | None:
    position = plan.columns.get(role)
    if position is None:
        return None
    amount = number(role, row[position] if plan.comma == "thousands" else _without_commas(plan, role, row[position].strip()))
    if amount is not None and amount.startswith("-"):
        raise BadValueError(role, "negative", f"{role} is negative: {amount}")
    return amount


def _without_commas(plan: Plan, role: str, text: str) -> str:
    """The number with a decimal point, in a file whose commas are decimal ones; refused where that is not known."""
    if plan.comma == "decimal":
        return text.replace(".", "").replace(",", ".") if "," in text or _DOTTED.fullmatch(text) else text
    if _EITHER.fullmatch(text):
        raise BadValueError(role, "ambiguous_number", f"{role} {text!r} may be a fraction or thousands: write it without a comma")
    return text


def _candle(info: PageInfo, plan: Plan, index: int, row: list[str]) -> Outcome:
    *prices, volume, market_cap = _candle_amounts(plan, row)
    if not any(prices):
        return Skip(index=index, reason="no_value")
    for role, price in zip(OHLC, prices, strict=True):
        if price is None:
            raise BadValueError(role, "missing_value", f"{role} is empty while others of the row are not")
    open_, high, low, close = prices
    floats = [float(price or 0) for price in prices]
    if floats[1] < max(floats) or floats[2] > min(floats):
        raise BadValueError(
            "high" if floats[1] < max(floats) else "low",
            "contradiction",
            f"open {open_}, high {high}, low {low}, close {close} contradict each other",
        )
    pair, moment = plan.which(row), iso(plan.moment(row))
    return [data_point(
        info, index, ("candle", pair.instrument, pair.currency or "", plan.interval or "", moment),
        kind="candle", timestamp=moment, instrument=pair.instrument, symbol=pair.symbol, currency=pair.currency, interval=plan.interval,
        open=open_, high=high, low=low, close=close, volume=volume, market_cap=market_cap,
    )]  # fmt: skip


def _price(info: PageInfo, plan: Plan, index: int, row: list[str]) -> Outcome:
    price = _amount(plan, row, "price" if "price" in plan.columns else "close")
    if price is None:
        return Skip(index=index, reason="no_value")
    pair, moment = plan.which(row), iso(plan.moment(row))
    return [data_point(
        info, index, ("price", pair.instrument, pair.currency or "", "", moment),
        kind="price", timestamp=moment, instrument=pair.instrument, symbol=pair.symbol, currency=pair.currency,
        price=price, volume=_amount(plan, row, "volume"), market_cap=_amount(plan, row, "market_cap"),
    )]  # fmt: skip
