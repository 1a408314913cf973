"""The series of prices in a CSV file: which columns belong together, and what they are of."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from shared.csvfile.meaning import number_formats
from shared.csvfile.meaning.column_names import (
    NOTHING,
    OHLC,
    NameMeaning,
    key,
)
from shared.csvfile.meaning.columns import (
    NUMBER_ROLES,
    PRICE_ROLES,
    Column,
    Reasons,
    is_coin,
    ohlc_by_cells,
)
from shared.csvfile.meaning.number_formats import BY_PERSON
from shared.csvfile.meaning.schema import Row, Series
from shared.errors import BadValueError, UnmappableError
from shared.values.symbols import FIAT, Pair, pair_from_name
from shared.values.times import timestamp

Json = dict[str, Any]
Key = tuple[
    str | None, str | None
]  # the coin and the currency in the names of columns
Groups = dict[Key, dict[str, Column]]
_TICKER = re.compile(r"[A-Z][A-Z0-9]{1,9}")
_SUFFIX = re.compile(r"\.(?:csv|tsv)$", re.IGNORECASE)
_URL = re.compile(r"https?://\S+")
# Names that may hold something else than the symbol of a pair.
_PRICE_AS_CLOSE = frozenset({"price", "open", "high", "low"})
_LESSER_SYMBOL_NAMES = (
    "market",
    "asset",
    "instrument",
    "base",
    "name",
    "id",
)


@dataclasses.dataclass
class SeriesFinder:
    """Finds the series of a file; `reasons` grows with what it finds."""

    path: str
    given: Json
    columns: list[Column]
    stats: Json
    sample: list[Row]
    preamble: list[str]
    by_person: dict[str, Column]
    reasons: Reasons
    header_shown: str
    has_header: bool

    def find(self, taken: set[int]) -> tuple[list[Series], Column | None]:
        """(the series, the column of symbols where rows name their own).

        `taken`: columns that are times. Raises UnmappableError.
        """
        symbol = self._symbol_column(taken)
        if symbol is not None:
            taken = taken | {symbol.position}
        groups = self._grouped(taken)
        whole = None if symbol else self._pair_of_file()
        found = []
        for group, columns in groups.items():
            series = self._one(group, columns, whole)
            if series is not None:
                found.append(series)
        if not found:
            found = [self._by_cells(taken, whole)]
        if symbol is None and any(series.pair is None for series in found):
            raise self._unknown_symbol()
        return found, symbol

    def _symbol_column(self, taken: set[int]) -> Column | None:
        if self.given.get("symbol"):
            return None
        if "symbol" in self.by_person:
            return self.by_person["symbol"]
        named = [
            column
            for column in self.columns
            if column.meaning.role == "symbol"
            and column.position not in taken
            and column.holds_symbols()
        ]
        if not named:
            return None
        usual = (
            each
            for each in named
            if key(each.name) not in _LESSER_SYMBOL_NAMES
        )
        best = next(usual, named[0])
        values = best.stats.get("values")
        reason = (
            f"its cells are {', '.join(values[:5])}"
            if values
            else "its cells are symbols"
        )
        self.reasons.add("symbol", "column", reason, best)
        return best

    # -- by the names of columns ------------------------------------------------------------------

    def _grouped(self, taken: set[int]) -> Groups:
        """Columns of numbers by the coin and the currency in their names.

        Roles that a person gave come first.
        """
        groups: Groups = {}
        given = self._given_numbers()
        if given:
            groups[None, None] = given
        usable = self._usable(taken, list(given.values()))
        are_coins = _currencies_are_coins(usable)
        usable += self._more_coins(usable)
        for column in usable:
            _put(groups, column, are_coins=are_coins)
        return groups

    def _given_numbers(self) -> dict[str, Column]:
        return {
            role: column
            for role, column in self.by_person.items()
            if role in NUMBER_ROLES
        }

    def _usable(self, taken: set[int], given: list[Column]) -> list[Column]:
        return [
            column
            for column in self.columns
            if column.position not in taken
            and column.holds_numbers()
            and column not in given
        ]

    def _more_coins(self, usable: list[Column]) -> list[Column]:
        """Beside several columns that are named by a coin, those named by an unknown symbol."""
        known = [
            column
            for column in usable
            if column.meaning.symbol
            and column.meaning.role is None
            and len(column.name.split()) == 1
        ]
        if len(known) <= 1:
            return []
        return [
            dataclasses.replace(
                column,
                meaning=NameMeaning(None, column.name.strip().lower()),
            )
            for column in usable
            if column.meaning == NOTHING
            and _TICKER.fullmatch(column.name.strip())
        ]

    def _one(
        self, group: Key, columns: dict[str, Column], whole: Pair | None
    ) -> Series | None:
        """The series of a group of columns, None where they are not prices."""
        coin, currency = group
        positions = {
            role: column.position for role, column in columns.items()
        }
        roles = _candle_or_price(positions)
        if roles is None:
            return None
        pair = whole
        if coin:
            pair = Pair(coin, currency and currency.upper())
        if pair and currency and pair.symbol == currency:
            return None  # the price of bitcoin in bitcoin
        self._note_series(pair, currency, roles)
        return Series(roles, pair, currency)

    def _note_series(
        self, pair: Pair | None, currency: str | None, roles: dict[str, int]
    ) -> None:
        subject = pair.symbol if pair else "each row’s symbol"
        shown = f"{subject} {currency or ''}".strip()
        used = [self.columns[position] for position in roles.values()]
        self.reasons.add("series", shown, "the names of its columns", *used)

    # -- by the cells of columns ------------------------------------------------------------------

    def _by_cells(self, taken: set[int], whole: Pair | None) -> Series:
        """Without names that are understood: by how the numbers of columns relate."""
        times = taken | self._more_times()
        related = self.stats.get("related") or {}
        candle = ohlc_by_cells(
            self.columns,
            related,
            is_ascending=self._is_ascending(taken),
            taken=times,
        )
        if candle is None:
            return self._only_numbers(times, whole)
        roles = dict(candle.columns)
        after = max(roles.values()) + 1
        is_numeric = after in (related.get("numeric") or ())
        if is_numeric and self._may_be_volume(after, times):
            roles["volume"] = after
        used = [self.columns[position] for position in roles.values()]
        self.reasons.add("series", ", ".join(roles), candle.reason, *used)
        return Series(roles, whole, None)

    def _more_times(self) -> set[int]:
        return {
            column.position
            for column in self.columns
            if column.holds_times() and not column.is_empty()
        }

    def _may_be_volume(self, position: int, times: set[int]) -> bool:
        if position >= len(self.columns) or position in times:
            return False
        return not self.columns[position].is_constant()

    def _only_numbers(self, times: set[int], whole: Pair | None) -> Series:
        """The only column of numbers, of a file without a header."""
        numeric = [
            column
            for column in self.columns
            if column.position not in times
            and column.is_useful()
            and column.holds_numbers()
        ]
        if self.has_header or len(numeric) != 1:
            raise self._unknown_prices(numeric)
        self.reasons.add(
            "series", "price", "the only column of numbers", numeric[0]
        )
        return Series({"price": numeric[0].position}, whole, None)

    def _is_ascending(self, taken: set[int]) -> bool:
        position = min(taken)
        try:
            first = timestamp("time", self.sample[0][position], "day_first")
            last = timestamp("time", self.sample[-1][position], "day_first")
        except (BadValueError, IndexError):
            return True
        return first <= last

    # -- coins ------------------------------------------------------------------------------------

    def _pair_of_file(self) -> Pair | None:
        """The pair that a person, a volume's name, the path or a line above the header names."""
        symbol = self.given.get("symbol")
        if symbol:
            self.reasons.add("symbol", symbol, BY_PERSON)
            currency = self.given.get("currency")
            return Pair(symbol.lower(), currency and currency.upper())
        named, reason = next(self._pairs_in_path(), (None, ""))
        coin = self._coin_of_volume()
        if coin is not None and not _is_of(named, coin):
            return self._pair_of_volume(coin, named)
        if named is None:
            named, reason = next(self._pairs_in_preamble(), (None, ""))
        if named is not None:
            self.reasons.add("symbol", named.symbol, reason)
        return named

    def _pair_of_volume(self, coin: Column, named: Pair | None) -> Pair:
        """The coin in a volume's name, in the currency of the file's name."""
        symbol = str(coin.meaning.currency)
        self.reasons.add("symbol", symbol, "the name of a volume", coin)
        return Pair(symbol, named.currency if named else None)

    def _pairs_in_path(self) -> Iterator[tuple[Pair, str]]:
        path = PurePosixPath(self.path)
        name = (
            path.name.removesuffix(".gz")
            .removesuffix(".zst")
            .removesuffix(".zip")
        )
        pair = pair_from_name(_SUFFIX.sub("", name))
        if pair is not None:
            yield pair, "the file's name"
        for folder in reversed(path.parts[:-1]):
            pair = pair_from_name(folder)
            if pair is not None:
                yield pair, "the folder's name"

    def _pairs_in_preamble(self) -> Iterator[tuple[Pair, str]]:
        for text in self.preamble:
            pair = pair_from_name(_URL.sub("", text))
            if pair is not None:
                yield pair, "a line above the header"

    def _coin_of_volume(self) -> Column | None:
        volumes = (
            column
            for column in self.columns
            if column.meaning.role == "volume"
        )
        return next(
            (each for each in volumes if is_coin(each.meaning.currency)),
            None,
        )

    def fallback_currency(self) -> str | None:
        """Of the mapping file; else of the other volume (`Volume USD`), else of the file's name."""
        given = self.given.get("currency")
        if given:
            return str(given).upper()
        for column in self.columns:
            currency = column.meaning.currency
            if (
                column.meaning.role == "volume"
                and currency is not None
                and currency in FIAT
            ):
                return currency.upper()
        pair = pair_from_name(PurePosixPath(self.path).stem)
        return pair.currency if pair else None

    # -- refusals ---------------------------------------------------------------------------------

    def _unknown_symbol(self) -> UnmappableError:
        what = (
            f"neither a column nor the name of {self.path!r} says which coin this is: name it like "
            "btc-usd.csv, add a column symbol, or write into CSV_DIR/mapping.yaml\n"
        )
        lines = number_formats.lines(
            self.path, symbol="btc", currency="usd"
        )
        return UnmappableError("unknown_symbol", what + lines, "symbol")

    def _unknown_prices(self, numeric: list[Column]) -> UnmappableError:
        position = numeric[0].position + 1 if numeric else 2
        what = (
            f"{self.path}: no column is a price (price, close, or open, high, low, close); "
            f"{self.header_shown}. Say which one is"
        )
        hint = number_formats.mapping_hint(
            self.path,
            what,
            columns=f"{{price: {position}}}   # a name, or a number from 1",
        )
        code = "unknown_columns" if self.has_header else "no_header"
        return UnmappableError(code, hint, "price")


def _put(groups: Groups, column: Column, *, are_coins: bool) -> None:
    """Give a column its place, unless another has it."""
    role = _role_of(column.meaning)
    if role is None:
        return
    group = _group_of(column.meaning, are_coins=are_coins)
    is_volume = role in ("volume", "quote_volume")
    if is_volume and column.meaning.symbol is None:
        role, group = _volume(role, column, groups)
    groups.setdefault(group, {}).setdefault(role, column)


def _is_of(named: Pair | None, coin: Column) -> bool:
    """Whether a pair is of the coin that a volume's name holds."""
    return named is not None and named.symbol == coin.meaning.currency


def _currencies_are_coins(usable: list[Column]) -> bool:
    """`price_btc, price_eth` are coins; `price_usd, price_btc` are currencies."""
    meanings = [column.meaning for column in usable]
    quotes = {
        meaning.currency
        for meaning in meanings
        if meaning.role in PRICE_ROLES and meaning.symbol is None
    }
    return len(quotes) > 1 and all(map(is_coin, quotes))


def _role_of(meaning: NameMeaning) -> str | None:
    """The role of a column of numbers; a coin's name alone is its price."""
    if meaning.role in NUMBER_ROLES:
        return meaning.role
    return "price" if meaning.symbol and meaning.role is None else None


def _group_of(meaning: NameMeaning, *, are_coins: bool) -> Key:
    if are_coins and meaning.symbol is None and is_coin(meaning.currency):
        return meaning.currency, None
    return meaning.symbol, meaning.currency


def _volume(role: str, column: Column, groups: Groups) -> tuple[str, Key]:
    """`Volume BTC` is in the coin, `Volume USD` in the currency; both belong to the prices."""
    priced = (
        group
        for group, columns in groups.items()
        if any(each in columns for each in PRICE_ROLES)
    )
    group = next(priced, (None, None))
    return (
        "quote_volume" if column.meaning.currency in FIAT else role
    ), group


def _candle_or_price(positions: dict[str, int]) -> dict[str, int] | None:
    """The columns of a candle where all four are there, else those of a price."""
    roles = dict(positions)
    if "close" not in roles and roles.keys() >= _PRICE_AS_CLOSE:
        roles["close"] = roles.pop("price")  # Investing.com's word for it
    if roles.keys() >= set(OHLC):
        roles.pop("price", None)
        return roles
    price = roles.get("price", roles.get("close"))
    if price is None:
        return None
    for role in PRICE_ROLES:
        roles.pop(role, None)
    return {"price": price, **roles}
