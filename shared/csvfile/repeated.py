"""Rows of one time and coin that are no repetition: something tells them apart that is not read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from shared.csvfile.meaning.column_names import key
from shared.csvfile.meaning.columns import Column
from shared.csvfile.meaning.evidence import Evidence
from shared.csvfile.meaning.schema import Row, Series, TimeFormat
from shared.errors import BadValueError, UnmappableError
from shared.values.amounts import amount

ENOUGH_ROWS = 4  # that a conclusion needs
MOST = 0.5  # of the rows
# Trades of one moment lie nearer to each other.
APART = 1.05
_OF_TRADES = frozenset(
    {"side", "tradeid", "aggtradeid", "isbuyermaker", "takerside"}
)
# A row's time, and its cells of the columns of coins and currencies.
Subject = tuple[datetime, str, str]


def refuse_repeated(
    evidence: Evidence,
    series: list[Series],
    times: TimeFormat,
    pair: tuple[Column | None, Column | None],
    decimals: dict[int, str],
) -> None:
    """Raises UnmappableError `repeated_times`.

    `pair`: the columns of coins and of currencies. Where most of the first rows share their time
    and coin with another of them, and their prices
    lie apart, or they say the day only.
    """
    found: dict[Subject, list[float]] = defaultdict(list)
    for subject, price in _prices(
        evidence, series[0], times, pair, decimals
    ):
        found[subject].append(price)
    rows = sum(map(len, found.values()))
    shared = [prices for prices in found.values() if len(set(prices)) > 1]
    number = sum(map(len, shared))
    if rows < ENOUGH_ROWS or number < MOST * rows:
        return
    time = evidence.column_at(times.time)
    are_trades = any(
        key(each.name) in _OF_TRADES for each in evidence.columns
    )
    if time.holds_days_only() or (_lie_apart(shared) and not are_trades):
        raise _repeated(evidence, number, rows)


def _lie_apart(shared: list[list[float]]) -> bool:
    return MOST * len(shared) <= sum(
        max(prices) > APART * min(prices) for prices in shared
    )


def _repeated(
    evidence: Evidence, number: int, rows: int
) -> UnmappableError:
    return evidence.refusal(
        "repeated_times",
        "time",
        f"{number} of the first {rows} rows have the time and the coin of another of them, and "
        "other prices: a column that is not understood tells them apart. Where they are of several "
        "exchanges, give each a file of its own; where a column holds the coin, say so, as "
        "`columns: {symbol: 2}`; to leave the file out",
        ignore="true",
    )


def _prices(
    evidence: Evidence,
    series: Series,
    times: TimeFormat,
    pair: tuple[Column | None, Column | None],
    decimals: dict[int, str],
) -> Iterator[tuple[Subject, float]]:
    position = series.columns["close" if series.is_candle else "price"]
    for row in evidence.sample:
        try:
            moment = times.moment(row)
            price = amount("price", row[position], decimals[position])
        except BadValueError:
            continue
        if price is not None:
            coin, currency = (_cell(row, column) for column in pair)
            yield (moment, coin, currency), float(price)


def _cell(row: Row, column: Column | None) -> str:
    return row[column.position].strip() if column else ""
