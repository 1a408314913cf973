"""CSV rows: candles where a row has open, high, low and close, prices where it has a price only; a point per coin of a wide file."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from services.normalizer.mapping.base import MapRecord, Outcome, PageInfo, check_candle, data_point, rejection
from shared.csvfile.column_names import OHLC
from shared.csvfile.infer import conclude
from shared.csvfile.schema import Plan, Series
from shared.errors import BadValueError
from shared.messages.identity import text_hash, text_id
from shared.messages.pages import Rejection, Skip, UnifiedData
from shared.values.amounts import canonical, number

MapRow = Callable[[int, list[str]], list[UnifiedData] | None]  # None: the row holds no value of this series
_PLAIN_NUMBERS = re.compile(r"\d{1,30}(?:\.\d{1,60})?(?:\x1f\d{1,30}(?:\.\d{1,60})?)*", re.ASCII)
_CANDLE = (*OHLC, "volume", "market_cap", "quote_volume")
_SLACK = 1.05  # by which a volume in money may lie outside volume × low … volume × high, since both are rounded


def compile_mapping(info: PageInfo) -> MapRecord:
    plan = _plan(msgspec.json.encode(info.context))
    by_series = [_candles(info, plan, series) if series.is_candle else _prices(info, plan, series) for series in plan.series]

    def map_record(index: int, row: Any) -> Outcome:
        if len(row) != plan.width:
            if not any(cell.strip() for cell in row):
                return Skip(index=index, reason="blank_row")
            return Rejection(reason="wrong_column_count", message=f"the row has {len(row)} cells, the header {plan.width}")
        try:
            points = [point for map_row in by_series for point in map_row(index, row) or ()]
        except BadValueError as error:
            return rejection(error)
        return points or Skip(index=index, reason="no_value")

    return map_record


@lru_cache(maxsize=256)
def _plan(context: bytes) -> Plan:
    return conclude(msgspec.json.decode(context))


def _candle_amounts(plan: Plan, series: Series) -> Callable[[list[str]], list[str | None]]:
    """Open, high, low, close and the volumes of a row. Nearly all rows are plain numbers: those are checked in one go."""
    present = [role for role in _CANDLE if role in series.columns]
    cells = itemgetter(*(series.columns[role] for role in present))
    places = [present.index(role) if role in series.columns else -1 for role in _CANDLE]  # −1: the None behind the cells
    has_points = all(plan.decimals[series.columns[role]] == "." for role in present)

    def amounts(row: list[str]) -> list[str | None]:
        texts = cells(row)
        if has_points and _PLAIN_NUMBERS.fullmatch("\x1f".join(texts)):
            plain: list[str | None] = [canonical(text) if text[-1] == "0" or text[0] == "0" else text for text in texts]
            plain.append(None)
            return [plain[place] for place in places]
        return [_amount(plan, series, row, role) for role in _CANDLE]

    return amounts


def _amount(plan: Plan, series: Series, row: list[str], role: str) -> str | None:
    position = series.columns.get(role)
    if position is None:
        return None
    amount = number(role, row[position], plan.decimals[position])
    if amount is not None and amount.startswith("-"):
        raise BadValueError(role, "negative", f"{role} is negative: {amount}")
    return amount


def _volume(volume: str | None, money: str | None, low: float, high: float) -> tuple[str | None, bool]:
    """(the volume in the coin, whether the row had it in the column for money), as some exporters' old rows do.

    Traded money lies between volume × low and volume × high; where that holds only the other way round, they are swapped.
    """
    if volume is None or money is None:
        return volume, False
    coins, paid = float(volume), float(money)
    fits = low * coins <= paid * _SLACK and paid <= high * coins * _SLACK
    return (money, True) if not fits and low * paid <= coins * _SLACK and coins <= high * paid * _SLACK else (volume, False)


def _candles(info: PageInfo, plan: Plan, series: Series) -> MapRow:
    """What `data_point` would make of each row; written out, since most of what is ever mapped comes through here."""
    amounts, interval = _candle_amounts(plan, series), plan.interval
    named = f"{info.source}\x1f{info.dataset}\x1fcandle"
    moment_of, which = plan.moment, plan.which

    def candle(index: int, row: list[str]) -> list[UnifiedData] | None:
        open_, high, low, close, volume, market_cap, quote_volume = amounts(row)
        if open_ is None and high is None and low is None and close is None:
            return None
        lowest, highest = check_candle((open_, high, low, close))
        volume, swapped = _volume(volume, quote_volume, lowest, highest)
        pair, moment = which(series, row), moment_of(row)
        instrument, symbol, currency = pair.instrument, pair.symbol, pair.currency
        what = f"{instrument}\x1f{symbol}\x1f{currency or ''}\x1f{interval or ''}"
        return [UnifiedData(
            id=text_id(f"{named}\x1f{instrument}\x1f{currency or ''}\x1f{interval or ''}\x1f{moment}"),
            value_hash=text_hash(f"candle\x1f{moment}\x1f{what}\x1f{open_}\x1f{high}\x1f{low}\x1f{close}\x1f{volume or ''}\x1f{market_cap or ''}"),
            record_index=index, kind="candle", timestamp=moment, instrument=instrument, symbol=symbol, currency=currency, interval=interval,
            open=open_, high=high, low=low, close=close, volume=volume, market_cap=market_cap,
            attributes={"volumes_swapped": True} if swapped else None,
        )]  # fmt: skip

    return candle


def _prices(info: PageInfo, plan: Plan, series: Series) -> MapRow:
    def price(index: int, row: list[str]) -> list[UnifiedData] | None:
        amount = _amount(plan, series, row, "price")
        if amount is None:
            return None
        pair, moment = plan.which(series, row), plan.moment(row)
        return [data_point(
            info, index, ("price", pair.instrument, pair.currency or "", "", moment),
            kind="price", timestamp=moment, instrument=pair.instrument, symbol=pair.symbol, currency=pair.currency,
            price=amount, volume=_amount(plan, series, row, "volume"), market_cap=_amount(plan, series, row, "market_cap"),
        )]  # fmt: skip

    return price
