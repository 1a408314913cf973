"""CSV rows: candles where a row has open, high, low and close, prices where it has a price only.

A wide file yields a point per coin.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from services.normalizer.mapping.base import (
    MapRecord,
    Outcome,
    PageInfo,
    amount,
    check_candle,
    data_point,
    rejection,
)
from shared.csvfile.meaning.column_names import OHLC
from shared.csvfile.meaning.infer import infer_schema
from shared.csvfile.meaning.schema import CsvSchema, Row, Series
from shared.errors import BadValueError
from shared.messages.identity import text_hash, text_id
from shared.messages.pages import Rejection, Skip, UnifiedData
from shared.values.amounts import canonical

MapRow = Callable[
    [int, Row], UnifiedData | None
]  # None: the row holds no value of this series
_PLAIN_NUMBERS = re.compile(
    r"\d{1,30}(?:\.\d{1,60})?(?:\x1f\d{1,30}(?:\.\d{1,60})?)*", re.ASCII
)
_CANDLE = (*OHLC, "volume", "market_cap", "quote_volume")
# By which a volume in money may lie outside volume × low … volume × high: both are rounded.
_SLACK = 1.05


def compile_mapping(info: PageInfo) -> MapRecord:
    schema = _schema(msgspec.json.encode(info.context))
    by_series = [
        _mapping_of(info, schema, series) for series in schema.series
    ]

    def map_record(index: int, row: Any) -> Outcome:
        if len(row) != schema.width:
            return _odd_row(index, row, schema)
        try:
            points = [
                point
                for map_row in by_series
                if (point := map_row(index, row)) is not None
            ]
        except BadValueError as error:
            return rejection(error)
        return points or Skip(index=index, reason="no_value")

    return map_record


@lru_cache(maxsize=256)
def _schema(context: bytes) -> CsvSchema:
    return infer_schema(msgspec.json.decode(context))


def _mapping_of(
    info: PageInfo, schema: CsvSchema, series: Series
) -> MapRow:
    return (_candles if series.is_candle else _prices)(info, schema, series)


def _odd_row(index: int, row: Row, schema: CsvSchema) -> Outcome:
    if not "".join(row).strip():
        return Skip(index=index, reason="blank_row")
    cells = f"the row has {len(row)} cells"
    message = f"{cells}, the header {schema.width}"
    return Rejection(reason="wrong_column_count", message=message)


def _candle_amounts(
    schema: CsvSchema, series: Series
) -> Callable[[Row], list[str | None]]:
    """Open, high, low, close and the volumes of a row.

    Nearly all rows are plain numbers: those are checked in one go.
    """
    present = [role for role in _CANDLE if role in series.columns]
    cells = itemgetter(*(series.columns[role] for role in present))
    # −1 is the None behind the cells.
    places = [
        present.index(role) if role in series.columns else -1
        for role in _CANDLE
    ]
    has_points = all(
        schema.decimals[series.columns[role]] == "." for role in present
    )

    def amounts(row: Row) -> list[str | None]:
        texts = cells(row)
        if has_points and _PLAIN_NUMBERS.fullmatch("\x1f".join(texts)):
            numbers: list[str | None] = [_canonical(text) for text in texts]
            numbers.append(None)
            return [numbers[place] for place in places]
        return [_amount(schema, series, row, role) for role in _CANDLE]

    return amounts


def _canonical(text: str) -> str:
    return canonical(text) if text[-1] == "0" or text[0] == "0" else text


def _amount(
    schema: CsvSchema, series: Series, row: Row, role: str
) -> str | None:
    position = series.columns.get(role)
    if position is None:
        return None
    return amount(role, row[position], schema.decimals[position])


def _volume(
    volume: str | None, money: str | None, low: float, high: float
) -> tuple[str | None, bool]:
    """(the volume in the coin, whether the row had it in the column for money).

    Some exporters' old rows do. Traded money lies between volume × low and volume × high; where
    that holds only the other way round, they are swapped.
    """
    if volume is None or money is None:
        return volume, False
    coins = float(volume)
    paid = float(money)
    if _fits(coins, paid, low, high) or not _fits(paid, coins, low, high):
        return volume, False
    return money, True


def _fits(coins: float, paid: float, low: float, high: float) -> bool:
    return low * coins <= paid * _SLACK and paid <= high * coins * _SLACK


def _candles(info: PageInfo, schema: CsvSchema, series: Series) -> MapRow:
    """What `data_point` would make of each row.

    Written out, since most of what is ever mapped comes through here.
    """
    amounts = _candle_amounts(schema, series)
    interval = schema.interval
    namespace = f"{info.source}\x1f{info.dataset}\x1fcandle"
    moment_of = schema.moment
    pair_of = schema.pair_of

    def candle(index: int, row: Row) -> UnifiedData | None:
        open_, high, low, close, volume, market_cap, quote_volume = amounts(
            row
        )
        if open_ is None and high is None and low is None and close is None:
            return None
        lowest, highest = check_candle((open_, high, low, close))
        volume, is_swapped = _volume(volume, quote_volume, lowest, highest)
        pair = pair_of(series, row)
        moment = moment_of(row)
        instrument = pair.instrument
        currency = pair.currency
        money = currency or ""
        period = interval or ""
        prices = f"{open_}\x1f{high}\x1f{low}\x1f{close}\x1f{volume or ''}\x1f{market_cap or ''}"
        subject = f"{instrument}\x1f{pair.symbol}\x1f{money}\x1f{period}"
        return UnifiedData(
            id=text_id(
                f"{namespace}\x1f{instrument}\x1f{money}\x1f{period}\x1f{moment}"
            ),
            value_hash=text_hash(
                f"candle\x1f{moment}\x1f{subject}\x1f{prices}"
            ),
            record_index=index,
            kind="candle",
            timestamp=moment,
            instrument=instrument,
            symbol=pair.symbol,
            currency=currency,
            interval=interval,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            market_cap=market_cap,
            attributes={"volumes_swapped": True} if is_swapped else None,
        )

    return candle


def _prices(info: PageInfo, schema: CsvSchema, series: Series) -> MapRow:
    def price(index: int, row: Row) -> UnifiedData | None:
        found = _amount(schema, series, row, "price")
        if found is None:
            return None
        pair = schema.pair_of(series, row)
        moment = schema.moment(row)
        return data_point(
            info,
            index,
            ("price", pair.instrument, pair.currency or "", "", moment),
            kind="price",
            timestamp=moment,
            instrument=pair.instrument,
            symbol=pair.symbol,
            currency=pair.currency,
            price=found,
            volume=_amount(schema, series, row, "volume"),
            market_cap=_amount(schema, series, row, "market_cap"),
        )

    return price
