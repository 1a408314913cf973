"""Candles of a page of CSV rows by column, instead of row by row.

For pages as most are: candles of one series, plain numbers, no row to refuse. Of another page
nothing is made here; its rows are mapped one by one, and the same would come out.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat
from typing import Any

from services.normalizer.mapping.base import PageInfo
from shared.csvfile.meaning.schema import CsvSchema, Row, Series
from shared.csvfile.rows import SECONDARY, told_apart
from shared.errors import BadValueError
from shared.identity.ids import text_hash
from shared.identity.point_ids import timed_id
from shared.messages.base import Json
from shared.messages.points import Points
from shared.values.amounts import plain_amounts
from shared.values.candles import OHLC, are_candles
from shared.values.symbols import Pair
from shared.values.times import timestamp_texts

VOLUMES_SWAPPED = {"volumes_swapped": True}
_ROLES = (*OHLC, *SECONDARY)
Column = list[str]


def candles(
    info: PageInfo, schema: CsvSchema, rows: list[Any]
) -> Points | None:
    """All rows as data points; None where they have to be looked at one by one."""
    if len(schema.series) != 1 or not schema.series[0].is_candle:
        return None
    columns = _columns(schema, rows)
    if columns is None or any(map(schema.is_unfinished, rows)):
        return None
    try:
        moments = _moments(schema, rows, columns)
        pairs = _pairs(schema, rows, columns)
        return _points(info, schema, columns, moments, pairs)
    except BadValueError:  # it is said of the row that it is of
        return None


def _columns(
    schema: CsvSchema, rows: list[Any]
) -> dict[int, Column] | None:
    """The cells of the columns that are read, by their position."""
    if not _are_rows(rows, schema.width):
        return None
    found = {}
    for position in _read(schema):
        column = [row[position] for row in rows]
        if set(map(type, column)) != {str}:
            return None
        found[position] = column
    return found


def _are_rows(records: list[Any], width: int) -> bool:
    are_lists = set(map(type, records)) == {list}
    return are_lists and set(map(len, records)) == {width}


def _read(schema: CsvSchema) -> set[int]:
    times = schema.times
    others = (times.time, times.date, schema.symbol, schema.currency)
    amounts = schema.series[0].columns.values()
    return {
        position
        for position in (*amounts, *others)
        if position is not None
    }


def _moments(
    schema: CsvSchema, rows: list[Row], columns: dict[int, Column]
) -> Column:
    """The time of each row. Raises BadValueError."""
    if schema.times.is_plain:
        return timestamp_texts("time", columns[schema.times.time])
    return list(map(schema.moment, rows))


def _pairs(
    schema: CsvSchema, rows: list[Row], columns: dict[int, Column]
) -> list[Pair]:
    """What the price of each row is of. Raises BadValueError."""
    series = schema.series[0]
    said = [
        columns[position]
        for position in (schema.symbol, schema.currency)
        if position is not None
    ]
    if not said:
        return [schema.pair_of(series, rows[0])] * len(rows)
    cells = list(zip(*said, strict=True))
    examples = dict(zip(cells, rows, strict=True))
    pairs = {
        cell: schema.pair_of(series, row)
        for cell, row in examples.items()
    }
    return [pairs[cell] for cell in cells]


def _points(
    info: PageInfo,
    schema: CsvSchema,
    columns: dict[int, Column],
    moments: Column,
    pairs: list[Pair],
) -> Points | None:
    series = schema.series[0]
    found = _amounts(schema, series, columns)
    if found is None:
        return None
    open_, high, low, close = (found[role] for role in OHLC)
    if not are_candles(open_, high, low, close):
        return None
    volume, market_cap, money = (found.get(role) for role in SECONDARY)
    swapped = _swapped(volume, money, low, high)
    if volume and money and swapped:
        volume, money = _put_right(volume, money, swapped)
    keys, subjects = _named(pairs, schema.interval)
    amounts = (open_, high, low, close, volume, market_cap, money)
    return Points.by_column(
        id=_ids(info, keys, moments),
        value_hash=_hashes(moments, subjects, amounts),
        kind="candle",
        timestamp=moments,
        instrument=[pair.instrument for pair in pairs],
        symbol=[pair.symbol for pair in pairs],
        currency=[pair.currency for pair in pairs],
        interval=schema.interval,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=volume,
        market_cap=market_cap,
        base_volume=volume if series.is_volume_of_coin else None,
        quote_volume=money,
        timestamp_is=schema.times.of,
        attributes=_attributes(swapped, len(moments)),
    )


def _amounts(
    schema: CsvSchema, series: Series, columns: dict[int, Column]
) -> dict[str, Column] | None:
    """The amounts by role; None unless all are plain numbers with a decimal point."""
    found = {}
    for role in _ROLES:
        position = series.columns.get(role)
        if position is None:
            continue
        amounts = plain_amounts(columns[position])
        if amounts is None or schema.decimals[position] != ".":
            return None
        found[role] = amounts
    return found


def _swapped(
    volume: Column | None, money: Column | None, low: Column, high: Column
) -> list[int]:
    """The rows that have the volume in the coin in the column for money."""
    if volume is None or money is None:
        return []
    rows = zip(
        volume, money, map(float, low), map(float, high), strict=True
    )
    return [n for n, row in enumerate(rows) if told_apart(*row)[1]]


def _put_right(
    volume: Column, money: Column, swapped: list[int]
) -> tuple[Column, Column]:
    volume, money = volume[:], money[:]
    for n in swapped:
        volume[n], money[n] = money[n], volume[n]
    return volume, money


def _named(
    pairs: list[Pair], interval: str | None
) -> tuple[Column, Column]:
    """What the identity of each row, and the hash of its values, begin with."""
    subjects = {pair: subject(pair, interval) for pair in set(pairs)}
    named = map(subjects.__getitem__, pairs)
    keys, values = zip(*named, strict=True)
    return list(keys), list(values)


def _ids(info: PageInfo, keys: Column, moments: Column) -> Column:
    first = namespace(info)
    return [
        timed_id(moment, f"{first}\x1f{key}\x1f{moment}")
        for key, moment in zip(keys, moments, strict=True)
    ]


def namespace(info: PageInfo) -> str:
    """What the identities of a page's candles begin with."""
    return f"{info.source}\x1f{info.dataset}\x1fcandle"


@lru_cache(maxsize=1024)
def subject(pair: Pair, interval: str | None) -> tuple[str, str]:
    """What a candle's identity says of its series, and what the hash of its values does."""
    money, period = pair.currency or "", interval or ""
    key = f"{pair.instrument}\x1f{money}\x1f{period}"
    return (
        key,
        f"{pair.instrument}\x1f{pair.symbol}\x1f{money}\x1f{period}",
    )


def _hashes(
    moments: Column,
    subjects: list[str],
    amounts: tuple[Column | None, ...],
) -> list[int]:
    *always, money = amounts
    columns = [column or repeat("", len(moments)) for column in always]
    columns += [] if money is None else [money]
    texts = zip(
        repeat("candle", len(moments)),
        moments,
        subjects,
        *columns,
        strict=True,
    )
    return list(map(text_hash, map("\x1f".join, texts)))


def _attributes(
    swapped: list[int], count: int
) -> list[Json | None] | None:
    if not swapped:
        return None
    attributes: list[Json | None] = [None] * count
    for n in swapped:
        attributes[n] = dict(VOLUMES_SWAPPED)
    return attributes
