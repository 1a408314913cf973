"""What the prices of a file are of: the coin, the currency, and whether they are prices at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

from shared.csvfile.meaning.column_names import key
from shared.csvfile.meaning.columns import Column, fullest
from shared.csvfile.meaning.evidence import Evidence
from shared.csvfile.meaning.number_formats import (
    BY_PERSON,
    PLACEHOLDER,
    UNDECIDED,
    Decided,
)
from shared.csvfile.meaning.schema import Series
from shared.csvfile.meaning.volumes import ROLES as VOLUME_ROLES
from shared.csvfile.meaning.volumes import Units
from shared.errors import UnmappableError
from shared.values.amounts import MISSING, SIGNS
from shared.values.symbols import (
    FIAT,
    Pair,
    currency_behind_exchange,
    is_known_symbol,
    is_quote,
    pair_from_name,
    parse_pair,
    unaliased,
)
from shared.values.words import lines

_OR_NONE = f"{PLACEHOLDER}   # or leave this line out"
_SUFFIX = re.compile(r"\.(?:csv|tsv)$", re.IGNORECASE)
_PACKED = re.compile(r"\.(?:gz|zst|zip)$", re.IGNORECASE)
_URL = re.compile(r"https?://\S+")
_CURRENCY = re.compile(r"(?=.*[a-z])[a-z0-9]{2,10}")
_CODES = frozenset({"code", "product", "contract", "underlying"})
_PRICES = re.compile(r"\b(?:prices?|ohlcv?|candles?)\b")
# What may stand behind a quantity in the name of a folder of it.
_ABOUT = re.compile(r"(?: (?:klines|rates?|data|history|csv|index))*")
_HERE = Path(__file__).parent
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")
# Names that may hold something else than the symbol of a pair.
_LESSER_SYMBOL_NAMES = (
    "market",
    "asset",
    "instrument",
    "base",
    "name",
    "id",
    "code",
    "product",
    "contract",
)


@cache
def _quantities() -> re.Pattern[str]:
    return _any_of(_HERE / "quantities.txt")


@cache
def _never_prices() -> re.Pattern[str]:
    return _any_of(_HERE / "never_prices.txt")


def _any_of(path: Path) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(lines(path))})\b")


class CoinFinder:
    """Finds what prices are of."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._given = evidence.given
        self._reasons = evidence.reasons

    # -- columns ----------------------------------------------------------------------------------

    def symbol_column(self, taken: set[int]) -> Column | None:
        """The column in which each row names its coin."""
        if self._given.get("symbol"):
            self._refuse_several("symbol", taken)
            return None
        given = self._given_column("symbol")
        if given is not None:
            return given
        named = [
            column
            for column in self._named("symbol", taken)
            if not self._is_another_thing(column)
        ]
        if not named:
            return self._coins_named_a_currency(taken)
        best = next(filter(_is_called_a_symbol, named), named[0])
        self._note_column("symbol", best)
        return best

    def _is_another_thing(self, column: Column) -> bool:
        """Whether one code in all rows is not the coin that the file's name says."""
        own = self._pair_in_names
        if own is None or key(column.name) not in _CODES:
            return False
        return column.is_constant() and _cells(column) != {own[0].symbol}

    def _given_column(self, role: str) -> Column | None:
        """The column that a person names for it."""
        column = self._evidence.by_person.get(role)
        if column is not None:
            self._reasons.add(role, "column", BY_PERSON, column)
        return column

    def given_currency(self, symbol: Column | None) -> str | None:
        """What a person says. Raises UnmappableError `bad_mapping` where pairs are in several."""
        given = self._given.get("currency")
        if not given:
            return None
        if symbol is not None:
            named = self.units(None, symbol).currencies
            if len(named) > 1:
                raise self._evidence.bad_mapping(
                    "currency",
                    f"one currency, but the pairs in column {symbol.shown!r} are in several",
                )
        return str(given).upper()

    def _refuse_several(self, role: str, taken: set[int]) -> None:
        """Raises UnmappableError `bad_mapping` for one coin where a column names several."""
        for column in self._named(role, taken):
            if (
                role not in self._evidence.closed_roles
                and len(_cells(column)) > 1
            ):
                shown = f"column {column.shown!r} names several"
                remedy = f"add `columns: {{{role}: null}}` if it means something else"
                raise self._evidence.bad_mapping(
                    role, f"one {role}, but {shown}: {remedy}"
                )

    def _named(self, role: str, taken: set[int]) -> list[Column]:
        """Columns of this role whose cells are symbols."""
        return fullest(
            [
                column
                for column in self._evidence.columns
                if column.meaning.role == role
                and column.position not in taken
                and column.holds_symbols()
            ]
        )

    def _coins_named_a_currency(self, taken: set[int]) -> Column | None:
        """A column called Currency whose cells are the coin."""
        if "currency" in self._evidence.by_person:
            return None
        own = self._pair_in_names
        quote = str(own[0].currency).lower() if own else None
        for column in self._named("currency", taken):
            cells = _cells(column)
            if quote in cells:
                continue
            are_own = own is not None and cells == {own[0].symbol}
            if are_own or not all(map(is_quote, cells)):
                self._note_column("symbol", column)
                return column
            if own is None and cells and cells.isdisjoint(FIAT):
                self._note_column("symbol", column)
                return column
        return None

    def _note_column(self, what: str, column: Column) -> None:
        values = column.stats.get("values")
        cells = ", ".join(values[:5]) if values else what + "s"
        self._reasons.add(
            what, "column", f"its cells are {cells}", column
        )

    def currency_column(self, symbol: Column | None) -> Column | None:
        """The column in which each row names its currency."""
        given = self._given_column("currency")
        if given is not None or self._given.get("currency"):
            return given
        for column in self._evidence.columns:
            is_named = column.meaning.role == "currency"
            if (
                is_named
                and column is not symbol
                and _holds_quotes(column)
            ):
                self._note_column("currency", column)
                return column
        return None

    # -- the pair of the whole file ---------------------------------------------------------------

    def pair_of_file(self) -> Pair | None:
        """The pair that a person, the file's name, a line above the header or a volume names."""
        symbol = self._given.get("symbol")
        if symbol:
            self._reasons.add("symbol", symbol, BY_PERSON)
            currency = self._given.get("currency")
            pair = parse_pair(symbol) or Pair(symbol.lower(), None)
            return Pair(
                pair.symbol,
                currency.upper() if currency else pair.currency,
            )
        found = self._pair_in_names or next(
            self._pairs_in_preamble(), None
        )
        if found is not None:
            pair, reason = found
            self._reasons.add("symbol", pair.symbol, reason)
            return pair
        return self._pair_in_volumes()

    @cached_property
    def _pair_in_names(self) -> tuple[Pair, str] | None:
        own = len(self._evidence.names) - len(
            self._evidence.path.split("/")
        )
        for number, name in enumerate(self._evidence.names):
            pair = pair_from_name(_stem(name))
            if pair is not None:
                is_file = number <= max(own, 0)
                what = (
                    "the file’s name" if is_file else "the folder’s name"
                )
                return pair, what
        return None

    def _pairs_in_preamble(self) -> Iterator[tuple[Pair, str]]:
        for text in self._evidence.preamble:
            pair = pair_from_name(_URL.sub("", text))
            if pair is not None:
                yield pair, "a line above the header"

    def _pair_in_volumes(self) -> Pair | None:
        """`Volume BTC`, `Volume USD`: the coin is the one that is no money."""
        units = {
            unaliased(str(column.meaning.unit)): column
            for column in self._evidence.columns
            if column.meaning.role in VOLUME_ROLES and column.meaning.unit
        }
        coin = _coin_among(list(units))
        if coin is None:
            return None
        self._reasons.add(
            "symbol", coin, "the name of a volume", units[coin]
        )
        others = [unit.upper() for unit in units if unit != coin]
        return Pair(coin, others[0] if len(others) == 1 else None)

    def fallback_currency(self) -> Decided:
        """Of the mapping file; else of the other volume (`Volume USD`), else of the file's name."""
        given = self._given.get("currency")
        if given:
            return Decided(str(given).upper(), BY_PERSON)
        in_volumes = self._currency_in_volumes()
        if in_volumes is not None:
            return in_volumes
        found = self._pair_in_names
        if found is not None:
            return Decided(found[0].currency, found[1])
        behind = currency_behind_exchange(_stem(self._evidence.names[0]))
        return (
            Decided(behind, "the file’s name, behind the exchange")
            if behind
            else UNDECIDED
        )

    def _currency_in_volumes(self) -> Decided | None:
        for column in self._evidence.columns:
            currency = column.meaning.currency
            if column.meaning.role == "volume" and currency in FIAT:
                shown = f"the name of column {column.shown!r}"
                return Decided(str(currency).upper(), shown)
        return None

    def note_currency(
        self,
        found: list[Series],
        symbol: Column | None,
        fallback: Decided,
    ) -> None:
        """The reason for the currency that rows get, where no column of currencies says it."""
        own = {each.currency for each in found}
        if None not in own:
            shown = ", ".join(str(currency).upper() for currency in own)
            is_given = self._given.get("currency")
            reason = BY_PERSON if is_given else "the names of its columns"
            self._reasons.add("currency", shown, reason)
            return
        quotes = self.units(None, symbol).currencies
        if quotes and symbol is not None:
            shown = ", ".join(sorted(quotes)[:5]).upper()
            self._reasons.add("currency", shown, "the pairs in", symbol)
        elif fallback.value:
            self._reasons.add("currency", fallback.value, fallback.reason)

    def units(self, pair: Pair | None, symbol: Column | None) -> Units:
        """What the rows' prices are of, as far as names and cells show it."""
        pairs = [pair] if pair else []
        if symbol is not None:
            parsed = map(parse_pair, symbol.values())
            pairs += [each for each in parsed if each is not None]
        currencies = {
            each.currency.lower() for each in pairs if each.currency
        }
        coins = {each.symbol for each in pairs}
        return Units(frozenset(coins), frozenset(currencies))

    # -- what is no price -------------------------------------------------------------------------

    def refuse_another_quantity(self, columns: list[Column]) -> None:
        """Raises UnmappableError `not_prices` where the file's name says another quantity.

        `columns`: those that would be prices, though none of them is called one.
        """
        quantity = self._quantity(_quantities())
        if quantity is None:
            return
        names = ", ".join(repr(column.shown) for column in columns[:5])
        raise self._evidence.refusal(
            "not_prices",
            "price",
            f"its name says {quantity!r}, and none of its columns is called a price ({names}). "
            f"If one is, say `columns: {{price: {self._evidence.reference(columns[0])}}}`; "
            "to leave the file out",
            ignore="true",
        )

    def refuse_what_is_never_a_price(self, columns: list[Column]) -> None:
        """Raises UnmappableError `not_prices` for the open, high, low and close of something else.

        A column that is called a price is one.
        """
        quantity = self._in_names(_never_prices())
        are_called = any(
            column.meaning.role == "price" for column in columns
        )
        if quantity is None or are_called or self._explains(columns):
            return
        raise self._evidence.refusal(
            "not_prices",
            "price",
            f"its name says {quantity!r}, so its numbers are no prices. If they are, say "
            f"`columns: {{price: {self._evidence.reference(columns[-1])}}}`; to leave the file out",
            ignore="true",
        )

    def _explains(self, columns: list[Column]) -> bool:
        """Whether its name says prices too, or another column holds the quantity."""
        if _PRICES.search(_words_of(self._evidence.names[0])):
            return True
        return any(
            _never_prices().search(_words_of(column.name))
            for column in self._evidence.columns
            if column not in columns
        )

    def _in_names(self, listed: re.Pattern[str]) -> str | None:
        """A quantity that the file's name says, or that is the whole name of a folder."""
        own, *folders = self._evidence.names
        found = listed.search(_words_of(own))
        if found is not None:
            return found[0]
        about = (_folder_about(listed, folder) for folder in folders)
        return next(filter(None, about), None)

    def _quantity(self, listed: re.Pattern[str]) -> str | None:
        found = self._in_names(listed)
        if found is not None:
            return found
        said = map(_words_of, self._evidence.preamble)
        matches = filter(None, map(listed.search, said))
        return next((each[0] for each in matches), None)

    def unknown_symbol(
        self, series_currency: str | None
    ) -> UnmappableError:
        shown = series_currency or self.fallback_currency().value
        return self._evidence.refusal(
            "unknown_symbol",
            "symbol",
            "neither a column nor the file’s name says which coin this is. Name it like "
            "btc-usd.csv, add a column symbol, or fill in",
            symbol=PLACEHOLDER,
            currency=shown.lower() if shown else _OR_NONE,
        )


def _words_of(text: str) -> str:
    return " ".join(_WORD.findall(_stem(_URL.sub("", text)))).lower()


def _folder_about(listed: re.Pattern[str], folder: str) -> str | None:
    words = _words_of(folder)
    found = listed.match(words)
    is_all = found and _ABOUT.fullmatch(words[found.end() :])
    return found[0] if found and is_all else None


def _stem(name: str) -> str:
    return _SUFFIX.sub("", _PACKED.sub("", name))


def _cells(column: Column) -> set[str]:
    """What the cells name, lower case."""
    words = {text.strip().lower() for text in column.values()}
    return {unaliased(word) for word in words - MISSING}


def _holds_quotes(column: Column) -> bool:
    """Whether its cells are currencies: most of them, and no coins that nothing is quoted in."""
    cells = _cells(column)
    codes = {SIGNS.get(cell.upper(), cell).lower() for cell in cells}
    coins = {code for code in codes if is_known_symbol(code)}
    likely = {code for code in codes if _CURRENCY.fullmatch(code)}
    are_most = 2 * len(likely) >= len(cells)
    return bool(likely) and are_most and all(map(is_quote, coins))


def _is_called_a_symbol(column: Column) -> bool:
    return key(column.name) not in _LESSER_SYMBOL_NAMES


def _coin_among(units: list[str]) -> str | None:
    """The one of them that is no money; None where that is not for certain one."""
    coins = [unit for unit in units if not is_quote(unit)]
    coins = coins or [unit for unit in units if unit not in FIAT]
    is_one = len(coins) == 1 and _is_coin(coins[0])
    return coins[0] if is_one else None


def _is_coin(symbol: str) -> bool:
    pair = parse_pair(symbol)
    return pair is not None and pair.currency is None
