"""Bars of one series as SQL. PostgreSQL builds the JSON, so that no number loses a digit."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from services.gateway.database import Where
from services.gateway.prices.choice import CANDLES, PriceSeries
from services.gateway.prices.intervals import Interval
from services.gateway.prices.windows import Window
from shared.identity.point_ids import first_id_at

_ISO = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
_COLUMNS = (
    "timestamp",
    "open",
    "high",
    "low",
    "close",
    "price",
    "volume",
    "base_volume",
    "quote_volume",
    "id",
)
_ORDERS = {"asc": "", "desc": "DESC"}
# The values that a data point of the series had at a time and no longer has.
_REPLACED = """
SELECT {columns} FROM (
    SELECT (jsonb_populate_record(NULL::unified_data, data)).* FROM unified_revisions
    WHERE id >= {first} AND id < {past} AND replaced_at > {as_of}
    AND (data->>'updated_at')::timestamptz <= {as_of} AND data->>'retired_at' IS NULL
) AS r WHERE EXISTS (SELECT FROM series AS s WHERE series_id = {series} AND {same})
"""
_OF_SERIES = (
    "source",
    "dataset",
    "stream",
    "kind",
    "instrument",
    "symbol",
    "interval",
    "currency",
    "timestamp_is",
)
_SAME = " AND ".join(
    f'r."{name}" IS NOT DISTINCT FROM s."{name}"' for name in _OF_SERIES
)


class Fill(StrEnum):
    """What stands for bars in which nothing was traded."""

    NONE = "none"
    NULL = "null"
    PREVIOUS = "previous"


def build(
    series: PriceSeries,
    window: Window,
    fill: Fill,
    as_of: datetime | None,
    order: str,
) -> tuple[str, list[Any]]:
    """The query of the bars: one row, `body` with their JSON. `order`: asc or desc, by time."""
    arguments = Where()
    start, end = arguments.bind(window.start), arguments.bind(window.end)
    number = arguments.bind(series.series_id)
    moment = _moment(series)
    points = _points(series, window, number, arguments, as_of)
    begins = _begin(f"({moment})", window)
    # What was replaced since is not looked for before the window.
    before = "NULL::numeric" if as_of else _before(series, number, start)
    query = f"""
        WITH points_of AS ({points}), bars AS (
            SELECT {begins} AS open_time, {_values(series)}, count(*) AS points
            FROM points_of WHERE {moment} >= {start} AND {moment} < {end}
            GROUP BY 1
        ), shown AS ({_shown(series, window, fill, start, end, before)})
        SELECT coalesce(json_agg(json_build_object(
            'open_time', to_char(open_time AT TIME ZONE 'UTC', '{_ISO}'),
            'close_time', to_char(close_time AT TIME ZONE 'UTC', '{_ISO}'),
            'open', open, 'high', high, 'low', low, 'close', close, 'volume', volume,
            'base_volume', base_volume, 'quote_volume', quote_volume,
            'points', points, 'complete', complete
        ) ORDER BY open_time {_ORDERS[order]}), '[]')::text AS body FROM shown
    """
    return query, arguments.arguments


def _points(
    series: PriceSeries,
    window: Window,
    number: str,
    arguments: Where,
    as_of: datetime | None,
) -> str:
    """What is stored of the series, or was at a time, about the window."""
    columns = ", ".join(f'"{name}"' for name in _COLUMNS)
    first = arguments.bind(first_id_at(window.start))
    last = window.end
    if series.is_by_close and series.interval:
        last = series.interval.after(last, window.zone)
    past = arguments.bind(first_id_at(last))
    stored = f"""
        SELECT {columns} FROM points
        WHERE series_id = {number} AND id >= {first} AND id < {past}"""
    if as_of is None:
        return f"{stored} AND retired_at IS NULL"
    then = arguments.bind(as_of)
    replaced = _REPLACED.format(
        columns=columns,
        first=first,
        past=past,
        as_of=then,
        series=number,
        same=_SAME,
    )
    return f"{stored} AND {_stood_at(then)} UNION ALL {replaced}"


def _stood_at(moment: str) -> str:
    """Whether a stored data point has been what it is since before a time."""
    return f"""coalesce(updated_at, created_at) <= {moment}
        AND (retired_at IS NULL OR retired_at > {moment})"""


def _moment(series: PriceSeries) -> str:
    """When the candle of a data point began."""
    if series.is_by_close and series.interval:
        return f"\"timestamp\" - interval '{_step(series.interval)}'"
    return '"timestamp"'


def _step(interval: Interval) -> str:
    """As PostgreSQL writes an interval."""
    if interval.seconds is None:
        return f"{interval.count} months"
    if interval.is_of_calendar:
        return f"{interval.seconds // 86_400} days"
    return f"{interval.seconds} seconds"


def _begin(moment: str, window: Window) -> str:
    """Where the bar of a moment begins."""
    step = _step(window.interval)
    if not window.interval.is_of_calendar:
        return f"date_bin('{step}', {moment}, '1970-01-01Z')"
    zone = f"'{window.zone.key}'"
    local = f"{moment} AT TIME ZONE {zone}"
    if window.interval.unit == "M":
        return f"{_begin_of_months(local, window.interval.count)} AT TIME ZONE {zone}"
    anchor = "1970-01-05" if window.interval.unit == "w" else "1970-01-01"
    return f"date_bin('{step}', {local}, timestamp '{anchor}') AT TIME ZONE {zone}"


def _begin_of_months(local: str, count: int) -> str:
    """The first of the months, counted by so many since 1970, that hold a local time."""
    months = f"(extract(year FROM {local}) * 12 + extract(month FROM {local}) - 1)"
    whole = f"floor(({months} - 1970 * 12) / {count})::int * {count}"
    return f"(timestamp '1970-01-01' + {whole} * interval '1 month')"


def _values(series: PriceSeries) -> str:
    if series.basis != CANDLES:
        return """
            (array_agg(price ORDER BY id))[1] AS open, max(price) AS high, min(price) AS low,
            (array_agg(price ORDER BY id DESC))[1] AS close, NULL::numeric AS volume,
            NULL::numeric AS base_volume, NULL::numeric AS quote_volume"""
    sums = ", ".join(
        f"CASE WHEN count({name}) = count(*) THEN sum({name}) END AS {name}"
        for name in ("volume", "base_volume", "quote_volume")
    )
    return f"""
        (array_agg(open ORDER BY id))[1] AS open, max(high) AS high, min(low) AS low,
        (array_agg(close ORDER BY id DESC))[1] AS close, {sums}"""


def _shown(
    series: PriceSeries,
    window: Window,
    fill: Fill,
    start: str,
    end: str,
    before: str,
) -> str:
    ends = _next("open_time", window)
    complete = _complete(series, ends)
    if fill == Fill.NONE:
        return f"SELECT *, {ends} AS close_time, {complete} AS complete FROM bars"
    starts = _starts(window, start, end)
    filled = f"""
        SELECT open_time, open, high, low, close, volume, base_volume, quote_volume,
               coalesce(points, 0) AS points
        FROM ({starts}) AS starts LEFT JOIN bars USING (open_time)"""
    if fill == Fill.PREVIOUS:
        filled = f"""
            SELECT open_time, coalesce(open, known) AS open, coalesce(high, known) AS high,
                   coalesce(low, known) AS low, coalesce(close, known) AS close,
                   volume, base_volume, quote_volume, points
            FROM (
                SELECT *, coalesce(first_value(close) OVER (
                    PARTITION BY closes ORDER BY open_time), {before}
                ) AS known
                FROM (SELECT *, count(close) OVER (ORDER BY open_time) AS closes
                      FROM ({filled}) AS filled) AS counted
            ) AS carried"""
    return f"""
        SELECT *, {ends} AS close_time, coalesce({complete}, false) AS complete
        FROM ({filled}) AS whole"""


def _before(series: PriceSeries, number: str, start: str) -> str:
    """The last price before the window, by an id that is less than all of it."""
    value = "close" if series.basis == CANDLES else "price"
    return f"""(
        SELECT {value} FROM points WHERE series_id = {number} AND retired_at IS NULL
        AND id < point_id('price', {start}, '{"0" * 32}') ORDER BY id DESC LIMIT 1)"""


def _next(begin: str, window: Window) -> str:
    step = f"interval '{_step(window.interval)}'"
    if not window.interval.is_of_calendar:
        return f"{begin} + {step}"
    zone = f"'{window.zone.key}'"
    return f"({begin} AT TIME ZONE {zone} + {step}) AT TIME ZONE {zone}"


def _starts(window: Window, start: str, end: str) -> str:
    step = f"interval '{_step(window.interval)}'"
    if not window.interval.is_of_calendar:
        series = f"generate_series({start}::timestamptz, {end}::timestamptz, {step})"
        return f"SELECT open_time FROM {series} AS open_time WHERE open_time < {end}"
    zone = f"'{window.zone.key}'"
    local = [
        f"{each}::timestamptz AT TIME ZONE {zone}"
        for each in (start, end)
    ]
    series = f"generate_series({local[0]}, {local[1]}, {step})"
    return f"""
        SELECT local AT TIME ZONE {zone} AS open_time FROM {series} AS local
        WHERE local < {local[1]}"""


def _complete(series: PriceSeries, ends: str) -> str:
    """Whether all candles of a bar are there; of sampled prices nobody can tell."""
    if series.interval is None or series.basis != CANDLES:
        return "NULL::boolean"
    if series.interval.seconds is None:
        return "points > 0"
    length = f"extract(epoch FROM {ends} - open_time)"
    return f"points >= {length} / {series.interval.seconds}"
