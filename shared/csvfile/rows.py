"""The values of a row by the schema of its file, and what is refused among rows.

The normalizer maps with these functions, and `inspect` tries rows with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter

from shared.csvfile.meaning.schema import CsvSchema, Row, Series
from shared.errors import BadValueError
from shared.values.amounts import (
    amount,
    contradicts,
    plain_amounts,
    sign_in,
)
from shared.values.candles import OHLC, check_candle, check_price
from shared.values.symbols import Pair

SECONDARY = ("volume", "market_cap", "quote_volume")
_CANDLE = (*OHLC, *SECONDARY)
# By which a volume in money may lie outside volume × low … volume × high: both are rounded.
_SLACK = 1.05
Amounts = list[str | None]
Notes = dict[str, str]
MAX_SHOWN = 3  # messages of one reason
NEARLY_ALL = 0.9


def candle_amounts(
    schema: CsvSchema, series: Series
) -> Callable[[Row], tuple[Amounts, Notes | None]]:
    """Reads open, high, low, close, volume, market cap and volume in money of a row.

    Nearly all rows are plain numbers: those are checked in one go. A volume or market cap that
    cannot be read is None, with a note that says why.
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

    def amounts(row: Row) -> tuple[Amounts, Notes | None]:
        texts = cells(row)
        plain = plain_amounts(texts) if has_points else None
        if plain is not None:
            numbers: Amounts = [*plain, None]
            return [numbers[place] for place in places], None
        notes: Notes = {}
        prices = [primary(schema, series, row, role) for role in OHLC]
        return [
            *prices,
            *(
                secondary(schema, series, row, role, notes)
                for role in SECONDARY
            ),
        ], notes

    return amounts


def primary(
    schema: CsvSchema, series: Series, row: Row, role: str
) -> str | None:
    """An amount of a row. Raises BadValueError."""
    position = series.columns.get(role)
    if position is None:
        return None
    found = amount(role, row[position], schema.decimals[position])
    sign = sign_in(row[position])
    if sign is not None:
        _refuse_sign(
            role, row[position], sign, schema.pair_of(series, row)
        )
    return found


def _refuse_sign(role: str, cell: str, sign: str, pair: Pair) -> None:
    """Raises BadValueError for an amount that says another currency than its row has."""
    if role == "volume" and sign.lower() == pair.symbol:
        return
    if pair.currency is None or contradicts(sign, pair.currency):
        row = f"the currency of the row is {pair.currency or 'not known'}"
        message = f"{role} is {cell.strip()[:40]!r}, but {row}"
        raise BadValueError(role, "another_currency", message)


def secondary(
    schema: CsvSchema, series: Series, row: Row, role: str, notes: Notes
) -> str | None:
    """A volume or market cap; None with a note where its cell cannot be read."""
    try:
        return primary(schema, series, row, role)
    except BadValueError as error:
        notes[role] = error.message
        return None


def price_of(schema: CsvSchema, series: Series, row: Row) -> str | None:
    """The price of a row that is no candle. Raises BadValueError."""
    found = primary(schema, series, row, "price")
    return found if found is None else check_price(found)


def told_apart(
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


def check_width(row: Row, schema: CsvSchema) -> None:
    """Raises BadValueError for a row of another width than the header."""
    if len(row) != schema.width:
        message = (
            f"the row has {len(row)} cells, the header {schema.width}"
        )
        raise BadValueError("", "wrong_column_count", message)


# -- trying rows ----------------------------------------------------------------------------------


@dataclass
class Tried:
    """What would become of rows. `refused`: rows by reason; `examples`: messages by reason."""

    rows: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    currencies: set[str | None] = field(default_factory=set)

    def count(self) -> int:
        """Rows that are refused."""
        return sum(self.refused.values())

    def are_nearly_all_refused(self) -> bool:
        return bool(self.rows) and self.count() >= NEARLY_ALL * self.rows

    def refuse(self, error: BadValueError) -> None:
        self.refused[error.reason] = self.refused.get(error.reason, 0) + 1
        shown = self.examples.setdefault(error.reason, [])
        if len(shown) < MAX_SHOWN:
            shown.append(error.message)


def try_rows(schema: CsvSchema, rows: Iterable[Row]) -> Tried:
    """What the schema would make of rows, without making it."""
    readers = [_reader(schema, series) for series in schema.series]
    tried = Tried()
    for row in rows:
        if not "".join(row).strip():
            continue
        tried.rows += 1
        try:
            check_width(row, schema)
            if schema.is_unfinished(row):
                continue
            for read in readers:
                tried.currencies.update(read(row))
        except BadValueError as error:
            tried.refuse(error)
    return tried


def _reader(
    schema: CsvSchema, series: Series
) -> Callable[[Row], list[str | None]]:
    """Reads a row as the normalizer would; yields its currency, nothing for a row of no value."""
    if not series.is_candle:
        return partial(_try_price, schema, series)
    amounts = candle_amounts(schema, series)

    def read(row: Row) -> list[str | None]:
        prices = tuple(amounts(row)[0][: len(OHLC)])
        if prices == (None,) * len(OHLC):
            return _try_price(schema, series, row)
        check_candle(prices)
        schema.moment(row)
        return [schema.pair_of(series, row).currency]

    return read


def _try_price(
    schema: CsvSchema, series: Series, row: Row
) -> list[str | None]:
    if price_of(schema, series, row) is None:
        return []
    schema.moment(row)
    return [schema.pair_of(series, row).currency]
