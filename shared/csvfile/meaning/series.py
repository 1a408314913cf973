"""The series of prices in a CSV file: which columns belong together, and what they are of."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from typing import Any

from shared.csvfile.meaning.candle_cells import Candle, ohlc_by_cells
from shared.csvfile.meaning.coins import CoinFinder
from shared.csvfile.meaning.column_names import NOTHING, NameMeaning
from shared.csvfile.meaning.columns import PRICE_ROLES, Column
from shared.csvfile.meaning.evidence import Evidence
from shared.csvfile.meaning.number_formats import BY_PERSON, PLACEHOLDER
from shared.csvfile.meaning.prices import Chosen, PriceChooser, Roles
from shared.csvfile.meaning.schema import Series
from shared.csvfile.meaning.volumes import ROLES as VOLUME_ROLES
from shared.csvfile.meaning.volumes import VolumePlacer, is_paid
from shared.errors import BadValueError, UnmappableError
from shared.values.amounts import number_in, sign_in
from shared.values.symbols import FIAT, Pair
from shared.values.times import timestamp

Json = dict[str, Any]
# The coin and the currency in the names of columns.
Key = tuple[str | None, str | None]
_TICKER = re.compile(r"[A-Z][A-Z0-9]{1,9}")
NEARLY_ALL = 0.9  # of the first rows
WIDEST_CANDLE = 1.6  # high by low; wider ones are rare
_OWN_KEY: Key = (None, None)
_BOUNDED = ("low", "average", "high")


class SeriesFinder:
    """Finds the series of a file."""

    def __init__(self, evidence: Evidence, coins: CoinFinder) -> None:
        self._evidence = evidence
        self._reasons = evidence.reasons
        self._coins = coins
        self._chooser = PriceChooser(evidence)

    def find(
        self, taken: set[int], symbol: Column | None
    ) -> list[Series]:
        """The series. `taken`: columns that are times or symbols. Raises UnmappableError."""
        whole = None if symbol else self._coins.pair_of_file()
        usable = self._usable(taken)
        found = self._by_person() or self._by_name(usable)
        if not found:
            found = [self._by_cells(taken)]
        self._refuse_one_for_several(found)
        series = self._of_coins(found, whole)
        if symbol is None and any(each.pair is None for each in series):
            raise self._coins.unknown_symbol(series[0].currency)
        return self._with_volumes(series, usable, symbol)

    def _of_coins(
        self, found: list[Series], whole: Pair | None
    ) -> list[Series]:
        own = [self._of_file(each, whole) for each in found]
        series = [each for each in own if not _is_of_itself(each)]
        if not series:
            raise self._unknown_prices([])
        self._refuse_collisions(series)
        return series

    def _usable(self, taken: set[int]) -> list[Column]:
        """Columns of numbers that may still be something, several named by coins among them."""
        closed = self._evidence.closed_roles
        given = self._evidence.by_person.values()
        usable = [
            column
            for column in self._evidence.columns
            if column.position not in taken
            and column.holds_numbers()
            and not column.is_empty()
            and column not in given
            and column.meaning.role not in closed
        ]
        return usable + _more_coins(usable)

    # -- by a person ------------------------------------------------------------------------------

    def _by_person(self) -> list[Series]:
        """The prices that mapping.yaml names; others that it does not mention are no prices.

        Where it names a close, or parts of a candle, the rest is taken by name.
        """
        given = {
            role: column
            for role, column in self._evidence.by_person.items()
            if role in PRICE_ROLES
        }
        if not given:
            return []
        if given.keys() == {"price"}:
            return [self._noted(given, _OWN_KEY, BY_PERSON)]
        others = {role: [column] for role, column in given.items()}
        chosen = self._chooser.choose({**self._rest(given), **others})
        missing = given.keys() - chosen.keys()
        if missing:
            role = min(missing)
            what = f"which column is {role}, but not enough for a candle or a price"
            raise self._evidence.bad_mapping(role, what)
        return [self._noted(chosen, _OWN_KEY, BY_PERSON)]

    def _rest(self, given: Chosen) -> Roles:
        """The other columns of prices, by role, without roles that are given or closed."""
        rest = _by_role(
            [
                column
                for column in self._evidence.columns
                if column.holds_numbers() and column not in given.values()
            ]
        )
        for role in (*given, *self._evidence.closed_roles):
            rest.pop(role, None)
        return rest

    # -- by the names of columns ------------------------------------------------------------------

    def _by_name(self, usable: list[Column]) -> list[Series]:
        priced = [column for column in usable if _price_role(column)]
        are_coins = _currencies_are_coins(priced)
        groups: dict[Key, list[Column]] = {}
        for column in priced:
            group = _group_of(column.meaning, are_coins=are_coins)
            groups.setdefault(group, []).append(column)
        found = []
        for group, columns in groups.items():
            chosen = self._chooser.choose(_by_role(columns))
            if chosen:
                found.append(self._named(chosen, group, usable))
        return found

    def _named(
        self, chosen: Chosen, group: Key, usable: list[Column]
    ) -> Series:
        columns = list(chosen.values())
        self._coins.refuse_what_is_never_a_price(columns)
        if not any(map(_is_called_a_price, columns)):
            self._coins.refuse_another_quantity(columns)
            self._refuse_few_coins(usable)
        return self._noted(chosen, group, "the names of its columns")

    def _refuse_few_coins(self, usable: list[Column]) -> None:
        """Of columns that are named by coins, most must be."""
        coins = [column for column in usable if _is_bare_coin(column)]
        others = [
            column
            for column in usable
            if column.meaning == NOTHING
            and not column.is_constant()
            and not any(
                column.position == coin.position for coin in coins
            )
        ]
        if coins and len(others) >= len(coins):
            names = ", ".join(column.shown for column in others[:5])
            raise self._evidence.refusal(
                "not_prices",
                "price",
                f"{coins[0].shown!r} is the name of a coin, but {names} are not: these columns "
                "may be something else than prices. If one is the price, say "
                f"`columns: {{price: {self._evidence.reference(coins[0])}}}`; "
                "to leave the file out",
                ignore="true",
            )

    def _noted(self, chosen: Chosen, group: Key, reason: str) -> Series:
        coin, currency = group
        subject = f"{coin or 'of the file'} {currency or ''}".strip()
        self._reasons.add("series", subject, reason, *chosen.values())
        positions = {
            role: column.position for role, column in chosen.items()
        }
        pair = Pair(coin, currency and currency.upper()) if coin else None
        return Series(positions, pair, currency)

    # -- by the cells of columns ------------------------------------------------------------------

    def _by_cells(self, taken: set[int]) -> Series:
        """Without names that are understood: by how the numbers of columns relate."""
        if len(self._evidence.columns) < self._evidence.width:
            # A person left columns out: positions are no guide.
            raise self._unknown_prices([])
        times = taken | self._more_times()
        candle = ohlc_by_cells(
            self._evidence.columns,
            self._related(),
            is_ascending=self._is_ascending(taken),
            taken=times,
        )
        if candle is None:
            return self._only_numbers(times)
        return self._candle(candle, times)

    def _related(self) -> Json:
        return self._evidence.stats.get("related") or {}

    def _candle(self, candle: Candle, times: set[int]) -> Series:
        roles = dict(candle.columns)
        if not self._are_near(roles["low"], roles["high"]):
            raise self._unknown_prices([])
        after = max(roles.values()) + 1
        if self._may_be_volume(after, times, roles):
            roles["volume"] = after
            self._place_other_volume(after + 1, times, roles)
        columns = self._evidence.columns
        used = [columns[position] for position in roles.values()]
        self._coins.refuse_what_is_never_a_price(used)
        self._reasons.add(
            "series", ", ".join(roles), candle.reason, *used
        )
        return Series(roles, None, None)

    def _place_other_volume(
        self, other: int, times: set[int], roles: dict[str, int]
    ) -> None:
        """Of two volumes behind a candle one may be what was paid for the other."""
        if not self._may_be_volume(other, times, roles):
            return
        first, close = roles["volume"], roles["close"]
        sample = self._evidence.sample
        if is_paid(sample, first, other, close):
            roles["quote_volume"] = other
        elif is_paid(sample, other, first, close):
            roles["volume"], roles["quote_volume"] = other, first

    def _more_times(self) -> set[int]:
        return {
            column.position
            for column in self._evidence.columns
            if column.holds_times()
        }

    def _may_be_volume(
        self, position: int, times: set[int], roles: dict[str, int]
    ) -> bool:
        numeric = self._related().get("numeric") or ()
        columns = self._evidence.columns
        if position not in numeric or position in times:
            return False
        if position >= len(columns) or columns[position].is_constant():
            return False
        return not self._lies_between(
            position, roles["low"], roles["high"]
        )

    def _are_near(self, low: int, high: int) -> bool:
        """Whether high and low are of one price: of no other four numbers are all so near."""
        pairs = [
            (number_in(row[low]), number_in(row[high]))
            for row in self._evidence.sample
        ]
        known = [(least, most) for least, most in pairs if least and most]
        near = sum(most <= WIDEST_CANDLE * least for least, most in known)
        return near >= len(known) / 2

    def _lies_between(self, position: int, low: int, high: int) -> bool:
        """Whether each number lies between low and high, as an average price does."""
        rows = [
            [number_in(row[place]) for place in (low, position, high)]
            for row in self._evidence.sample
        ]
        numbers = [
            [number for number in row if number is not None]
            for row in rows
        ]
        whole = [row for row in numbers if len(row) == len(_BOUNDED)]
        return bool(whole) and all(row == sorted(row) for row in whole)

    def _only_numbers(self, times: set[int]) -> Series:
        """The only column of numbers, of a file without a header."""
        numeric = [
            column
            for column in self._evidence.columns
            if column.position not in times
            and column.is_useful()
            and column.holds_numbers()
        ]
        if self._evidence.has_header or len(numeric) != 1:
            raise self._unknown_prices(numeric)
        self._coins.refuse_another_quantity(numeric)
        self._reasons.add(
            "series", "price", "the only column of numbers", numeric[0]
        )
        return Series({"price": numeric[0].position}, None, None)

    def _is_ascending(self, taken: set[int]) -> bool:
        position = min(taken)
        sample = self._evidence.sample
        try:
            first = timestamp("time", sample[0][position], "day_first")
            last = timestamp("time", sample[-1][position], "day_first")
        except (BadValueError, IndexError):
            return True
        return first <= last

    # -- what they are of -------------------------------------------------------------------------

    def _of_file(self, series: Series, whole: Pair | None) -> Series:
        """The series with the pair and the currency of the file, where its own names say none."""
        is_given = self._evidence.given.get("symbol")
        pair = whole if is_given else series.pair or whole
        currency = self._currency_of(series, pair)
        return Series(series.columns, pair, currency and currency.lower())

    def _currency_of(
        self, series: Series, pair: Pair | None
    ) -> str | None:
        given: str | None = self._evidence.given.get("currency")
        named = series.currency or (pair.currency if pair else None)
        in_cells = self._currency_in_cells(series, named)
        return given or in_cells or series.currency

    def _refuse_one_for_several(self, found: list[Series]) -> None:
        """Raises UnmappableError `bad_mapping` for one coin or currency given to several."""
        given = self._evidence.given
        if given.get("symbol") and len({each.pair for each in found}) > 1:
            what = "one symbol, but the columns are of several coins"
            raise self._evidence.bad_mapping("symbol", what)
        currencies = {each.currency for each in found if each.currency}
        if given.get("currency") and len(currencies) > 1:
            what = "one currency, but the columns are in several"
            raise self._evidence.bad_mapping("currency", what)

    def _currency_in_cells(
        self, series: Series, named: str | None
    ) -> str | None:
        """The currency whose sign stands in nearly all prices; `$` where no name says another."""
        role = "close" if series.is_candle else "price"
        column = self._evidence.column_at(series.columns[role])
        signs = Counter(
            sign_in(cell) for cell in column.sample if cell.strip()
        )
        if not signs:
            return None
        sign, count = signs.most_common(1)[0]
        is_clear = count >= NEARLY_ALL * signs.total()
        return None if not is_clear or (named and sign == "USD") else sign

    def _refuse_collisions(self, found: list[Series]) -> None:
        """Raises UnmappableError `several_prices` for series that are one and the same."""
        seen: dict[tuple[object, ...], Series] = {}
        for series in found:
            other = seen.setdefault(_subject_of(series), series)
            if other is not series:
                raise self._same(other, series)

    def _same(self, one: Series, other: Series) -> UnmappableError:
        role = "close" if one.is_candle else "price"
        first, second = (
            self._evidence.column_at(each.columns[role])
            for each in (one, other)
        )
        wanted = self._evidence.reference(first)
        return self._evidence.refusal(
            "several_prices",
            role,
            f"columns {first.shown!r} and {second.shown!r} are prices of the same coin in the "
            "same currency. Say which one counts",
            columns=f"{{{role}: {wanted}}}   # or {self._evidence.reference(second)}",
        )

    def _with_volumes(
        self,
        found: list[Series],
        usable: list[Column],
        symbol: Column | None,
    ) -> list[Series]:
        named = [
            column
            for column in usable
            if column.meaning.role in VOLUME_ROLES
        ]
        placer = VolumePlacer(self._evidence, named, found)
        placed = []
        for series in map(self._with_given_volumes, found):
            units = self._coins.units(series.pair, symbol)
            placed.append(placer.place(series, units))
        return placed

    def _with_given_volumes(self, series: Series) -> Series:
        given = {
            role: column.position
            for role, column in self._evidence.by_person.items()
            if role in VOLUME_ROLES
        }
        columns = {**series.columns, **given}
        return dataclasses.replace(series, columns=columns)

    # -- refusals ---------------------------------------------------------------------------------

    def _unknown_prices(self, numeric: list[Column]) -> UnmappableError:
        position: int | str = PLACEHOLDER
        if len(numeric) == 1:
            position = numeric[0].position + 1
        what = (
            "no column is a price (price, close, or open, high, low, close); "
            f"{self._evidence.shown()}. Say which one is"
        )
        columns = f"{{price: {position}}}   # a name, or a number from 1"
        code = (
            "unknown_columns"
            if self._evidence.has_header
            else "no_header"
        )
        return self._evidence.refusal(
            code, "price", what, columns=columns
        )


def _more_coins(usable: list[Column]) -> list[Column]:
    """Beside several columns that are named by a coin, those named by an unknown symbol."""
    known = [
        column
        for column in usable
        if _is_bare_coin(column) and len(column.name.split()) == 1
    ]
    if len(known) <= 1:
        return []
    return [
        dataclasses.replace(
            column, meaning=NameMeaning(None, column.name.strip().lower())
        )
        for column in usable
        if column.meaning == NOTHING
        and _TICKER.fullmatch(column.name.strip())
    ]


def _is_bare_coin(column: Column) -> bool:
    """Whether it is named by a coin and nothing else."""
    return (
        column.meaning.role is None and column.meaning.symbol is not None
    )


def _is_called_a_price(column: Column) -> bool:
    """Whether its name says a price; a coin, a rate or a value is none yet."""
    role = column.meaning.role
    if role is None:
        return column.meaning.currency is not None
    return role in PRICE_ROLES and role != "vague_price"


def _price_role(column: Column) -> str | None:
    """The role of a column of prices; a coin's name alone is its price."""
    if column.meaning.role in PRICE_ROLES:
        return column.meaning.role
    return "price" if _is_bare_coin(column) else None


def _by_role(columns: list[Column]) -> Roles:
    found: Roles = {}
    for column in columns:
        role = _price_role(column)
        if role is not None:
            found.setdefault(role, []).append(column)
    return found


def _currencies_are_coins(priced: list[Column]) -> bool:
    """`price_btc, price_eth` are coins; `price_usd, price_btc` are currencies."""
    subjects = {column.meaning.subject for column in priced}
    quotes = {quote for coin, quote in subjects if coin is None}
    return len(quotes) > 1 and all(map(_may_be_coin, quotes))


def _may_be_coin(currency: str | None) -> bool:
    return currency is not None and currency not in FIAT


def _group_of(meaning: NameMeaning, *, are_coins: bool) -> Key:
    is_coin = are_coins and meaning.symbol is None
    if is_coin and _may_be_coin(meaning.currency):
        return meaning.currency, None
    return meaning.subject


def _subject_of(series: Series) -> tuple[object, ...]:
    own = series.pair
    quote = own.currency if own else None
    currency = series.currency or quote or ""
    symbol = own.symbol if own else None
    return symbol, currency.upper(), series.is_candle


def _is_of_itself(series: Series) -> bool:
    """The price of bitcoin in bitcoin."""
    pair = series.pair
    return pair is not None and pair.symbol == series.currency
