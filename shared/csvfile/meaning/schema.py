"""What the columns of a CSV file mean, as `infer` found it; how a row is read by it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any

from shared.errors import BadValueError
from shared.values.amounts import MISSING, SIGNS
from shared.values.candles import OHLC
from shared.values.symbols import (
    Pair,
    is_known_symbol,
    is_quote,
    parse_pair,
    unaliased,
)
from shared.values.times import iso, timestamp, timestamp_text

Json = dict[str, Any]
Row = list[str]
MAX_DESCRIBED = 50  # series
MAX_CODE = 5  # letters of a currency that is not known
# Beside the words for nothing, what programs write into a column of texts.
_NO_SYMBOLS = MISSING | {"undefined", "true", "false"}
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001  times are naive UTC here
_DAY_S = 86_400
_DAY = re.compile(r"\d{8}", re.ASCII)
_CLOCK = re.compile(r"\d{1,6}", re.ASCII)


@dataclass(frozen=True)
class TimeFormat:
    """How the time of a row is written: its column, a date beside it, order, zone.

    `of`: whether its name says that it is the begin (`open`) or the end (`close`) of a candle.
    """

    time: int
    date: int | None = None
    order: str | None = None
    zone: tzinfo | None = None
    is_excel: bool = False
    of: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether the one cell says it all."""
        return not (
            self.date is not None
            or self.order
            or self.zone
            or self.is_excel
        )

    def moment(self, row: Row) -> datetime:
        """The row's time as naive UTC. Raises BadValueError."""
        text = row[self.time].strip()
        if self.date is not None:
            text = _day_and_clock(row[self.date].strip(), text)
        if self.is_excel:
            return _from_excel(text)
        return timestamp("time", text, self.order, self.zone)

    def unreadable(self, row: Row) -> str | None:
        """Why a row's time cannot be read; None where it can."""
        try:
            self.moment(row)
        except BadValueError as error:
            return error.message
        return None

    def reader(self) -> Callable[[Row], str]:
        """Reads a row's time as ISO 8601 in UTC."""
        if self.is_plain:
            position = self.time
            return lambda row: timestamp_text("time", row[position])
        return lambda row: iso(self.moment(row))


def _day_and_clock(day: str, clock: str) -> str:
    if _DAY.fullmatch(day) and _CLOCK.fullmatch(clock):
        return f"{day}{clock.zfill(6)}"  # 20210101 beside 93000 (MetaTrader, Finam)
    return f"{day} {clock}".strip()


def _from_excel(text: str) -> datetime:
    try:
        seconds = round(float(text.replace(",", ".")) * _DAY_S)
        return timestamp(
            "time", iso(_EXCEL_EPOCH + timedelta(seconds=seconds))
        )
    except (ValueError, OverflowError):
        message = f"time is not a spreadsheet's day: {text[:40]!r}"
        raise BadValueError("time", "bad_time", message) from None


FINISHED = frozenset({"1", "true", "yes", "y", "t"})
UNFINISHED = frozenset({"0", "false", "no", "n", "f"})


@dataclass(frozen=True)
class Series:
    """The columns of one series of prices.

    `pair` None: each row names its own. `currency`: as the header names it. `is_volume_of_coin`:
    the header says that the volume is counted in the coin.
    """

    columns: dict[str, int]
    pair: Pair | None
    currency: str | None
    is_volume_of_coin: bool = False

    @cached_property
    def is_candle(self) -> bool:
        return all(role in self.columns for role in OHLC)


@dataclass(frozen=True)
class CsvSchema:
    """What the columns of a file mean, and why. Positions count from 0.

    `given_currency`: what a person says, whatever the rows say. `fallback_currency`: where neither
    a row nor the header names one. `finished`: the column that says whether a row's time is over.
    `unused`: columns that mean nothing to this product; the archive
    keeps them.
    """

    width: int
    times: TimeFormat
    decimals: dict[int, str]
    series: list[Series]
    symbol: int | None
    currency: int | None
    fallback_currency: str | None
    interval: str | None
    reasons: list[Json]
    unused: list[str]
    given_currency: str | None = None
    finished: int | None = None

    def is_unfinished(self, row: Row) -> bool:
        """Whether the row says that its values still move."""
        if self.finished is None:
            return False
        return row[self.finished].strip().lower() in UNFINISHED

    @cached_property
    def moment(self) -> Callable[[Row], str]:
        """Reads a row's time as ISO 8601 in UTC."""
        return self.times.reader()

    def pair_of(self, series: Series, row: Row) -> Pair:
        """What the row's price is of.

        A currency in a column's name counts most, then the row's own, then the file's name. Raises
        BadValueError.
        """
        pair = series.pair or self._symbol_in(row)
        if self.given_currency:
            return _paired(pair, self.given_currency)
        if series.currency and (series.pair or pair.currency is None):
            return _paired(pair, series.currency.upper())
        own = self._currency_in(row)
        if own is not None:
            return _paired(pair, own)
        if pair.currency is None and self.fallback_currency:
            return _paired(pair, self.fallback_currency)
        return pair

    def _currency_in(self, row: Row) -> str | None:
        own = "" if self.currency is None else row[self.currency].strip()
        if own.lower() in MISSING:
            return None
        code = SIGNS.get(own, own)
        if not _may_be_currency(code):
            message = f"not a currency: {own[:40]!r}"
            raise BadValueError("currency", "unknown_currency", message)
        return code.upper()

    def _symbol_in(self, row: Row) -> Pair:
        text = row[self.symbol or 0]
        pair = None if _is_no_symbol(text) else parse_pair(text)
        if pair is None:
            message = f"not a symbol: {text[:40]!r}"
            raise BadValueError("symbol", "unknown_symbol", message)
        return pair

    def described(self, currencies: set[str | None]) -> Json:
        """For people: what the file was taken for, and why. `currencies`: of the first rows."""
        has_candles = any(series.is_candle for series in self.series)
        return {
            "kind": "candle" if has_candles else "price",
            "series": [
                self._described(series, currencies)
                for series in self.series[:MAX_DESCRIBED]
            ],
            "interval": self.interval,
            "unused_columns": self.unused,
            "reasons": self.reasons,
        }

    def _described(
        self, series: Series, currencies: set[str | None]
    ) -> Json:
        pair = series.pair
        currency = self._currency_of_rows(pair, currencies)
        if series.currency:
            currency = series.currency.upper()
        return {
            "symbol": pair.symbol if pair else "of each row",
            "currency": currency,
            "columns": {
                role: position + 1
                for role, position in series.columns.items()
            },
        }

    def _currency_of_rows(
        self, pair: Pair | None, currencies: set[str | None]
    ) -> str | None:
        """What rows get, as the first of them show."""
        if len(currencies) > 1:
            return "of each row"
        own = pair.currency if pair else None
        return next(iter(currencies), own or self.fallback_currency)


def _may_be_currency(code: str) -> bool:
    """One that is known, or an unknown code as exchanges write them."""
    low = unaliased(code.lower())
    if is_quote(low) or is_known_symbol(low):
        return True
    return code.isalnum() and code.isupper() and len(code) <= MAX_CODE


def _is_no_symbol(text: str) -> bool:
    word = text.strip().lower()
    is_count = word.isdigit() and not is_known_symbol(word)
    return word in _NO_SYMBOLS or is_count


def _paired(pair: Pair, currency: str) -> Pair:
    """Raises BadValueError for the price of bitcoin in bitcoin."""
    if unaliased(currency.lower()) == pair.symbol:
        message = f"its currency is the coin itself: {currency}"
        raise BadValueError("currency", "unknown_currency", message)
    return Pair(pair.symbol, currency)
