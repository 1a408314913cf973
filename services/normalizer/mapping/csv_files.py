"""CSV rows: candles where a row has open, high, low and close, prices where it has a price only.

A wide file yields a point per coin.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from services.normalizer.mapping import csv_columns
from services.normalizer.mapping.base import (
    MapRecord,
    Outcome,
    PageInfo,
    data_point,
    rejection,
    timed,
)
from shared.csvfile.meaning.infer import infer_schema
from shared.csvfile.meaning.schema import CsvSchema, Row, Series
from shared.csvfile.rows import (
    Notes,
    candle_amounts,
    price_of,
    secondary,
    told_apart,
)
from shared.errors import BadValueError
from shared.identity.ids import text_hash
from shared.identity.point_ids import timed_id
from shared.messages.base import Json
from shared.messages.pages import Rejection, Skip
from shared.messages.points import Points, TimestampIs, UnifiedData
from shared.values.candles import check_candle

# None: the row holds no value of this series.
MapRow = Callable[[int, Row], UnifiedData | None]


def compile_mapping(info: PageInfo) -> MapRecord:
    schema = _schema(msgspec.json.encode(info.context))
    by_series = [
        _mapping_of(info, schema, series) for series in schema.series
    ]

    def map_record(index: int, row: Any) -> Outcome:
        if len(row) != schema.width:
            return _odd_row(index, row, schema)
        if schema.is_unfinished(row):
            skip = Skip(index=index, reason="unfinished")
            return timed(skip, schema.moment, row)
        try:
            points = [
                point
                for map_row in by_series
                if (point := map_row(index, row)) is not None
            ]
        except BadValueError as error:
            return timed(rejection(error), schema.moment, row)
        if points:
            return points
        skip = Skip(index=index, reason="no_value")
        return timed(skip, schema.moment, row)

    return map_record


def map_at_once(info: PageInfo, records: list[Any]) -> Points | None:
    schema = _schema(msgspec.json.encode(info.context))
    return csv_columns.candles(info, schema, records)


@lru_cache(maxsize=256)
def _schema(context: bytes) -> CsvSchema:
    return infer_schema(msgspec.json.decode(context))


def _mapping_of(
    info: PageInfo, schema: CsvSchema, series: Series
) -> MapRow:
    return (_candles if series.is_candle else _prices)(
        info, schema, series
    )


def _odd_row(index: int, row: Row, schema: CsvSchema) -> Outcome:
    if not "".join(row).strip():
        return Skip(index=index, reason="blank_row")
    cells = f"the row has {len(row)} cells"
    message = f"{cells}, the header {schema.width}"
    return Rejection(reason="wrong_column_count", message=message)


def _candles(info: PageInfo, schema: CsvSchema, series: Series) -> MapRow:
    """What `data_point` would make of each row.

    Written out, since all of a page comes through here where one row has to be looked at.
    """
    amounts = candle_amounts(schema, series)
    interval = schema.interval
    is_of_coin = series.is_volume_of_coin
    timestamp_is = schema.times.of
    namespace = csv_columns.namespace(info)
    moment_of = schema.moment
    pair_of = schema.pair_of
    price = _prices(info, schema, series)

    def candle(index: int, row: Row) -> UnifiedData | None:
        found, notes = amounts(row)
        open_, high, low, close, volume, market_cap, quote_volume = found
        if (
            open_ is None
            and high is None
            and low is None
            and close is None
        ):
            return price(index, row)
        lowest, highest = check_candle((open_, high, low, close))
        given = volume
        volume, is_swapped = told_apart(
            volume, quote_volume, lowest, highest
        )
        if is_swapped:
            quote_volume = given
        pair = pair_of(series, row)
        moment = moment_of(row)
        key, subject = csv_columns.subject(pair, interval)
        prices = f"{open_}\x1f{high}\x1f{low}\x1f{close}\x1f{volume or ''}\x1f{market_cap or ''}"
        return UnifiedData(
            id=timed_id(moment, f"{namespace}\x1f{key}\x1f{moment}"),
            value_hash=text_hash(
                f"candle\x1f{moment}\x1f{subject}\x1f{prices}"
                if quote_volume is None
                else f"candle\x1f{moment}\x1f{subject}\x1f{prices}\x1f{quote_volume}"
            ),
            record_index=index,
            kind="candle",
            timestamp=moment,
            instrument=pair.instrument,
            symbol=pair.symbol,
            currency=pair.currency,
            interval=interval,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            market_cap=market_cap,
            base_volume=volume if is_of_coin else None,
            quote_volume=quote_volume,
            timestamp_is=timestamp_is,
            attributes=_attributes(notes, is_swapped=is_swapped),
        )

    return candle


def _attributes(
    notes: Notes | None, *, is_swapped: bool = False
) -> Json | None:
    """What is to be said of a point: volumes in each other's column, cells that are unreadable."""
    if not is_swapped and not notes:
        return None
    found: Json = dict(csv_columns.VOLUMES_SWAPPED) if is_swapped else {}
    return {**found, "unreadable": notes} if notes else found


def _prices(info: PageInfo, schema: CsvSchema, series: Series) -> MapRow:
    """Also of rows of a candle file that have a price and nothing else."""
    if "price" not in series.columns:
        return lambda _index, _row: None

    def price(index: int, row: Row) -> UnifiedData | None:
        found = price_of(schema, series, row)
        if found is None:
            return None
        notes: Notes = {}
        pair = schema.pair_of(series, row)
        moment = schema.moment(row)
        volume = secondary(schema, series, row, "volume", notes)
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
            volume=volume,
            market_cap=secondary(
                schema, series, row, "market_cap", notes
            ),
            base_volume=volume if series.is_volume_of_coin else None,
            quote_volume=secondary(
                schema, series, row, "quote_volume", notes
            ),
            timestamp_is=TimestampIs.MOMENT,
            **_said(notes),
        )

    return price


def _said(notes: Notes) -> Json:
    attributes = _attributes(notes)
    return {} if attributes is None else {"attributes": attributes}
