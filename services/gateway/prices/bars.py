"""Bars of one series as SQL. PostgreSQL builds the JSON, so that no number loses a digit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from services.gateway.database import Where
from services.gateway.files.columns import shown
from services.gateway.files.formats import FileFormat
from services.gateway.prices.series import CANDLES, WholeSeries
from services.gateway.prices.windows import Window
from shared.identity.point_ids import first_id_at
from shared.messages.points import SERIES_COLUMNS

MAX_READ = 2_000_000  # data points of an answer
_ISO = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
_MICROSECOND = timedelta(microseconds=1)
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
_OF_SERIES = (
    "source",
    "dataset",
    "kind",
    "instrument",
    "symbol",
    "currency",
)
FILE_COLUMNS = (
    *_OF_SERIES,
    "open_time",
    "close_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "base_volume",
    "quote_volume",
    "points",
    "complete",
)
_ORDERS = {"asc": "", "desc": "DESC"}
_SAME = " AND ".join(
    f'r."{name}" IS NOT DISTINCT FROM s."{name}"'
    for name in SERIES_COLUMNS
)
_OF_CANDLES = """
(array_agg(open ORDER BY id))[1] AS open, max(high) AS high, min(low) AS low,
(array_agg(close ORDER BY id DESC))[1] AS close,
CASE WHEN count(volume) = count(*) THEN sum(volume) END AS volume,
CASE WHEN count(base_volume) = count(*) THEN sum(base_volume) END AS base_volume,
CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume) END AS quote_volume
"""
_OF_PRICES = """
(array_agg(price ORDER BY id))[1] AS open, max(price) AS high, min(price) AS low,
(array_agg(price ORDER BY id DESC))[1] AS close, NULL::numeric AS volume,
NULL::numeric AS base_volume, NULL::numeric AS quote_volume
"""


class Fill(StrEnum):
    """What stands for bars in which nothing was traded."""

    NONE = "none"
    NULL = "null"
    PREVIOUS = "previous"


def build(
    series: WholeSeries,
    window: Window,
    fill: Fill,
    as_of: datetime | None,
    order: str,
) -> tuple[str, list[Any]]:
    """The query of the bars: one row, `body` with their JSON. `order`: asc or desc, by time.

    `read`: the data points that they are made of; more than MAX_READ are not all of them.
    """
    arguments = Where()
    rows = _rows(
        series, window, fill, as_of, arguments, f"LIMIT {MAX_READ + 1}"
    )
    query = f"""
        {rows}
        SELECT coalesce(json_agg(json_build_object(
            'open_time', to_char(open_time AT TIME ZONE 'UTC', '{_ISO}'),
            'close_time', to_char(close_time AT TIME ZONE 'UTC', '{_ISO}'),
            'open', open, 'high', high, 'low', low, 'close', close, 'volume', volume,
            'base_volume', base_volume, 'quote_volume', quote_volume,
            'points', points, 'complete', complete
        ) ORDER BY open_time {_ORDERS[order]}), '[]')::text AS body,
        (SELECT sum(points) FROM bars) AS read
        FROM whole
    """
    return query, arguments.arguments


def build_file(
    series: WholeSeries,
    window: Window,
    fill: Fill,
    as_of: datetime | None,
    form: FileFormat,
    start: datetime,
) -> tuple[str, list[Any]]:
    """The query of the bars as rows with FILE_COLUMNS, the oldest first.

    `window`: a piece of a file that begins at `start`.
    """
    arguments = Where()
    rows = _rows(series, window, fill, as_of, arguments, start=start)
    names = ", ".join(
        f"{arguments.bind(getattr(series, name))}::text AS {name}"
        for name in _OF_SERIES
    )
    query = f"""
        {rows}
        SELECT {shown(FILE_COLUMNS, form)}
        FROM (SELECT {names}, whole.* FROM whole) AS named ORDER BY named.open_time
    """
    return query, arguments.arguments


def _rows(
    series: WholeSeries,
    window: Window,
    fill: Fill,
    as_of: datetime | None,
    arguments: Where,
    most: str = "",
    start: datetime | None = None,
) -> str:
    """WITH of `whole`, the bars in any order, and `bars`, what they are made of.

    `most`: LIMIT of data points. `start`: of the file that the window is a piece of.
    """
    begins = arguments.bind(window.begins())
    points = _points(series, window, arguments, as_of)
    values = _OF_CANDLES if series.basis == CANDLES else _OF_PRICES
    before = "NULL::numeric"
    # What was replaced since is not looked for before all that is asked for.
    if fill == Fill.PREVIOUS and as_of is None:
        before = _before(series, window, arguments)
    elif fill == Fill.PREVIOUS and start and start < window.start:
        earlier = replace(window, start=start, end=window.start)
        before = _last_of(series, earlier, arguments, as_of)
    return f"""
        WITH ends AS (
            SELECT n, begin AS open_time, lead(begin) OVER (ORDER BY n) AS close_time
            FROM unnest({begins}::timestamptz[]) WITH ORDINALITY AS b (begin, n)
        ), bars AS (
            SELECT width_bucket({_moment(series)}, {begins}::timestamptz[]) AS n, {values},
                   count(*) AS points
            FROM ({points} {most}) AS points_of GROUP BY 1
        ), shown AS (
            {_shown(fill, before)}
        ), whole AS (
            SELECT open_time, close_time, open, high, low, close, volume, base_volume,
                   quote_volume, points, {_complete(series, window)} AS complete
            FROM shown WHERE close_time IS NOT NULL
        )"""


def _moment(series: WholeSeries) -> str:
    """A moment within the candle of a data point, or of the price."""
    if series.is_by_close:  # the end belongs to the next one
        return "\"timestamp\" - interval '1 microsecond'"
    return '"timestamp"'


def _first_id(series: WholeSeries, begin: datetime) -> Any:
    """The least id of what lies in bars that begin at a time or later."""
    return first_id_at(
        begin + _MICROSECOND if series.is_by_close else begin
    )


def _points(
    series: WholeSeries,
    window: Window,
    arguments: Where,
    as_of: datetime | None,
) -> str:
    """What is stored of the series in the window, or was at a time."""
    columns = ", ".join(f'"{name}"' for name in _COLUMNS)
    ids = series.ids
    if as_of is None:
        ids = series.within(window.start, window.end + _MICROSECOND)
    of_series = among(ids, arguments)
    first = arguments.bind(_first_id(series, window.start))
    past = arguments.bind(_first_id(series, window.end))
    stored = f"""
        SELECT {columns} FROM points
        WHERE series_id {of_series} AND id >= {first} AND id < {past}"""
    if as_of is None:
        return f"{stored} AND retired_at IS NULL"
    then = arguments.bind(as_of)
    since = replaced(then, first, past, of_series)
    return f"""{stored} AND {stood_at(then)}
        UNION ALL SELECT {columns} FROM ({since}) AS r"""


def among(numbers: list[int], arguments: Where) -> str:
    """`= $1` where there is one: a plan that is kept then knows the order of its index."""
    if len(numbers) == 1:
        return f"= {arguments.bind(numbers[0])}"
    return f"= ANY({arguments.bind(numbers)}::int[])"


def stood_at(moment: str) -> str:
    """Whether a stored data point has been what it is since before a time."""
    return f"""coalesce(updated_at, created_at) <= {moment}
        AND (retired_at IS NULL OR retired_at > {moment})"""


def replaced(moment: str, first: str, past: str, of_series: str) -> str:
    """The values that data points had at a time and no longer have, by ids and series."""
    return f"""
        SELECT r.* FROM (
            SELECT (jsonb_populate_record(NULL::unified_data, data)).* FROM unified_revisions
            WHERE id >= {first} AND id < {past} AND replaced_at > {moment}
            AND (data->>'updated_at')::timestamptz <= {moment} AND data->>'retired_at' IS NULL
        ) AS r WHERE EXISTS (SELECT FROM series AS s WHERE series_id {of_series} AND {_SAME})"""


def _before(series: WholeSeries, window: Window, arguments: Where) -> str:
    """The last price before the window."""
    value = "close" if series.basis == CANDLES else "price"
    earlier = series.last_before(window.start - _MICROSECOND)
    of_series = among(earlier, arguments)
    first = arguments.bind(_first_id(series, window.start))
    return f"""(
        SELECT {value} FROM points WHERE series_id {of_series} AND retired_at IS NULL
        AND id < {first} ORDER BY id DESC LIMIT 1)"""


def _last_of(
    series: WholeSeries,
    window: Window,
    arguments: Where,
    as_of: datetime | None,
) -> str:
    """The last price in the window, as it was at a time."""
    value = "close" if series.basis == CANDLES else "price"
    points = _points(series, window, arguments, as_of)
    return f"(SELECT {value} FROM ({points}) AS earlier ORDER BY id DESC LIMIT 1)"


def _shown(fill: Fill, before: str) -> str:
    if fill == Fill.NONE:
        return "SELECT * FROM ends JOIN bars USING (n)"
    filled = """
        SELECT n, open_time, close_time, open, high, low, close, volume, base_volume,
               quote_volume, coalesce(points, 0) AS points
        FROM ends LEFT JOIN bars USING (n)"""
    if fill == Fill.NULL:
        return filled
    return f"""
        SELECT open_time, close_time, coalesce(open, known) AS open,
               coalesce(high, known) AS high, coalesce(low, known) AS low,
               coalesce(close, known) AS close, volume, base_volume, quote_volume, points
        FROM (
            SELECT *, coalesce(first_value(close) OVER (
                PARTITION BY closes ORDER BY n), {before}) AS known
            FROM (SELECT *, count(close) OVER (ORDER BY n) AS closes
                  FROM ({filled}) AS filled) AS counted
        ) AS carried"""


def _complete(series: WholeSeries, window: Window) -> str:
    """Whether all candles of a bar are there; of sampled prices nobody can tell."""
    if series.interval is None or series.basis != CANDLES:
        return "NULL::boolean"
    if series.interval.seconds is None:  # months, of months
        return (
            f"points >= {window.interval.count // series.interval.count}"
        )
    length = "extract(epoch FROM close_time - open_time)"
    return f"points >= {length} / {series.interval.seconds}"
