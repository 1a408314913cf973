"""CSV rows: candles where a row has open, high, low and close, prices where it has a price only."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter
from typing import Any

from services.normalizer.mapping.base import MapRecord, Outcome, PageInfo, data_point, rejection
from services.normalizer.mapping.csv_columns import OHLC, Plan, build_plan
from shared.errors import BadValueError
from shared.events import Rejection, Skip, UnifiedData
from shared.identity import text_hash, text_id
from shared.values.numbers import canonical, number

_EITHER = re.compile(r"-?\d{1,3},\d{3}", re.ASCII)
_DOTTED = re.compile(r"-?\d{1,3}(?:\.\d{3})+", re.ASCII)


def compile_mapping(info: PageInfo) -> MapRecord:
    context = info.context
    header, sample = tuple(context.get("columns") or ()), tuple(tuple(row) for row in context.get("sample") or ())
    plan = build_plan(str(context.get("path", "")), str(context.get("delimiter", ",")), header, sample)
    map_row = _candles(info, plan) if plan.is_candle else _prices(info, plan)

    def map_record(index: int, row: Any) -> Outcome:
        if len(row) != plan.width:
            return Rejection(reason="wrong_column_count", message=f"the row has {len(row)} cells, the header {plan.width}")
        try:
            return map_row(index, row)
        except BadValueError as error:
            return rejection(error)

    return map_record


_PLAIN_NUMBERS = re.compile(r"\d{1,30}(?:\.\d{1,60})?(?:\x1f\d{1,30}(?:\.\d{1,60})?)*", re.ASCII)
_CANDLE = (*OHLC, "volume", "market_cap")


def _candle_amounts(plan: Plan) -> Callable[[list[str]], list[str | None]]:
    """Open, high, low, close, volume, market cap of a row. Nearly all rows are plain numbers: those are checked in one go."""
    present = [role for role in _CANDLE if role in plan.columns]
    cells = itemgetter(*(plan.columns[role] for role in present))
    places = [present.index(role) if role in plan.columns else -1 for role in _CANDLE]  # −1: the None behind the cells
    is_complete = len(present) == len(_CANDLE)

    def amounts(row: list[str]) -> list[str | None]:
        texts = cells(row)
        if plan.comma == "thousands" and _PLAIN_NUMBERS.fullmatch("\x1f".join(texts)):
            plain: list[str | None] = [canonical(text) if text[-1] == "0" or text[0] == "0" else text for text in texts]
            if is_complete:
                return plain
            plain.append(None)
            return [plain[place] for place in places]
        return [_amount(plan, row, role) for role in _CANDLE]

    return amounts


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


def _check_candle(prices: tuple[str | None, ...]) -> None:
    """Refuse prices that cannot be those of one candle."""
    if None in prices:
        role = OHLC[prices.index(None)]
        raise BadValueError(role, "missing_value", f"{role} is empty while others of the row are not")
    open_, high, low, close = [float(price or 0) for price in prices]
    if not (low <= open_ <= high and low <= close <= high):
        role = "high" if high < max(open_, low, close) else "low"
        raise BadValueError(role, "contradiction", "open {}, high {}, low {}, close {} contradict each other".format(*prices))


def _candles(info: PageInfo, plan: Plan) -> MapRecord:
    """What `data_point` would make of each row; written out, since most of what is ever mapped comes through here."""
    amounts, interval = _candle_amounts(plan), plan.interval
    named = f"{info.source}\x1f{info.dataset}\x1fcandle"

    def candle(index: int, row: list[str]) -> Outcome:
        open_, high, low, close, volume, market_cap = amounts(row)
        if open_ is None and high is None and low is None and close is None:
            return Skip(index=index, reason="no_value")
        _check_candle((open_, high, low, close))
        pair, moment = plan.which(row), plan.moment(row)
        instrument, symbol, currency = pair.instrument, pair.symbol, pair.currency
        what = f"{instrument}\x1f{symbol}\x1f{currency or ''}\x1f{interval or ''}"
        return [UnifiedData(
            id=text_id(f"{named}\x1f{instrument}\x1f{currency or ''}\x1f{interval or ''}\x1f{moment}"),
            value_hash=text_hash(f"candle\x1f{moment}\x1f{what}\x1f{open_}\x1f{high}\x1f{low}\x1f{close}\x1f{volume or ''}\x1f{market_cap or ''}"),
            record_index=index, kind="candle", timestamp=moment, instrument=instrument, symbol=symbol, currency=currency, interval=interval,
            open=open_, high=high, low=low, close=close, volume=volume, market_cap=market_cap,
        )]  # fmt: skip

    return candle


def _prices(info: PageInfo, plan: Plan) -> MapRecord:
    role = "price" if "price" in plan.columns else "close"

    def price(index: int, row: list[str]) -> Outcome:
        amount = _amount(plan, row, role)
        if amount is None:
            return Skip(index=index, reason="no_value")
        pair, moment = plan.which(row), plan.moment(row)
        return [data_point(
            info, index, ("price", pair.instrument, pair.currency or "", "", moment),
            kind="price", timestamp=moment, instrument=pair.instrument, symbol=pair.symbol, currency=pair.currency,
            price=amount, volume=_amount(plan, row, "volume"), market_cap=_amount(plan, row, "market_cap"),
        )]  # fmt: skip

    return price
