"""Volumes and market caps beside prices: which of them are in the coin, which in money."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from shared.csvfile.meaning.columns import Column
from shared.csvfile.meaning.evidence import Evidence
from shared.csvfile.meaning.schema import Series
from shared.values.amounts import number_in
from shared.values.symbols import FIAT, unaliased

ROLES = ("volume", "quote_volume", "market_cap")
NEAR = 0.1  # a volume times the close is the money that was paid, about
ENOUGH_ROWS = 2  # that a conclusion needs
FAR = 5.0  # times more or less than was paid
# Coins that stand for dollars, which names take for each other.
_DOLLARS = frozenset("usd usdt usdc busd fdusd tusd".split())


@dataclass(frozen=True)
class Units:
    """What the rows' prices are of: coins, and the currencies that they are in. Lower case."""

    coins: frozenset[str]
    currencies: frozenset[str]


class VolumePlacer:
    """Gives volumes and market caps to the series that they belong to."""

    def __init__(
        self,
        evidence: Evidence,
        columns: list[Column],
        series: list[Series],
    ) -> None:
        """`columns`: those that are named a volume or a market cap and hold numbers."""
        self._evidence = evidence
        self._is_only = len(series) == 1
        self._are_of_one_coin = len(set(map(_coin, series))) == 1
        self._columns = [each for each in columns if not each.is_empty()]

    def place(self, series: Series, units: Units) -> Series:
        """The series with its volumes."""
        found = dict(series.columns)
        is_of_coin = False
        for column in self._columns:
            if not self._belongs(column, series):
                continue
            role = self._role(column, units)
            if role is not None and self._is_in_other_money(
                column, series, units
            ):
                continue
            if role == "volume" and "volume" in found:
                self._tell_apart(found, column.position)
            elif role is not None:
                is_new = found.setdefault(role, column.position)
                is_named = (
                    role == "volume" and column.meaning.unit is not None
                )
                is_of_coin |= is_named and is_new == column.position
        self._drop_copied_market_cap(found)
        self._drop_what_was_never_paid(found)
        return dataclasses.replace(
            series,
            columns=found,
            is_volume_of_coin=is_of_coin or "quote_volume" in found,
        )

    def _is_in_other_money(
        self, column: Column, series: Series, units: Units
    ) -> bool:
        """Whether it names another currency than the prices are in: dollars beside euros."""
        unit = unaliased(column.meaning.unit or "")
        own = (
            {series.currency.lower()}
            if series.currency
            else set(units.currencies)
        )
        if unit not in FIAT or not own or own & _like(unit):
            return False
        self._evidence.reasons.add(
            column.meaning.role or "volume",
            None,
            f"it is in {unit.upper()}, and the prices are not",
            column,
        )
        return True

    def _drop_what_was_never_paid(self, found: dict[str, int]) -> None:
        """A volume in money that is far from the other at the price is in something else."""
        price = found.get("close", found.get("price"))
        money, amount = found.get("quote_volume"), found.get("volume")
        if price is None or money is None or amount is None:
            return
        ratios = [
            numbers[2] / (numbers[0] * numbers[1])
            for row in self._evidence.sample
            if all(
                numbers := [
                    number_in(row[at]) or 0.0
                    for at in (amount, price, money)
                ]
            )
        ]
        far = sum(not 1 / FAR < ratio < FAR for ratio in ratios)
        if len(ratios) >= ENOUGH_ROWS and 2 * far > len(ratios):
            del found["quote_volume"]
            self._evidence.reasons.add(
                "quote_volume",
                None,
                "it is not what was paid for the volume at these prices",
                self._evidence.column_at(money),
            )

    def _belongs(self, column: Column, series: Series) -> bool:
        """Whether it is named by the coin of the series; by none only where all are of one coin."""
        coin = column.meaning.symbol
        if coin is None:
            return self._are_of_one_coin
        return self._is_only or coin == _coin(series)

    def _tell_apart(self, found: dict[str, int], other: int) -> None:
        """Of two volumes that name no unit, the one in money is the other at the price."""
        price = found.get("close", found.get("price"))
        if price is None or "quote_volume" in found:
            return
        sample = self._evidence.sample
        if is_paid(sample, found["volume"], other, price):
            found["quote_volume"] = other
        elif is_paid(sample, other, found["volume"], price):
            found["quote_volume"] = found["volume"]
            found["volume"] = other

    def _role(self, column: Column, units: Units) -> str | None:
        """In the coin, in money, or (with a unit that is neither) nothing of this series."""
        role = column.meaning.role
        unit = column.meaning.unit
        if unit is None:
            return role
        unit = unaliased(unit)
        if role == "market_cap":
            is_money = unit in FIAT or unit in units.currencies
            return role if is_money or unit in units.coins else None
        is_money = unit in FIAT or unit in units.currencies
        if (unit in units.coins) != is_money:
            return "quote_volume" if is_money else "volume"
        self._evidence.reasons.add(
            "volume",
            None,
            f"its unit {unit.upper()} is not for certain the coin or the currency of the prices",
            column,
        )
        return None

    def _drop_copied_market_cap(self, found: dict[str, int]) -> None:
        """A market cap that equals the volume in each row is one of them, copied."""
        cap = found.get("market_cap")
        volume = found.get("volume", found.get("quote_volume"))
        if cap is None or volume is None:
            return
        pairs = [
            (row[cap].strip(), row[volume].strip())
            for row in self._evidence.sample
            if row[cap].strip()
        ]
        are_equal = all(left == right for left, right in pairs)
        if len(pairs) >= ENOUGH_ROWS and are_equal:
            del found["market_cap"]
            self._evidence.reasons.add(
                "market_cap",
                None,
                "it equals the volume in every one of the first rows",
                self._evidence.column_at(cap),
            )


def is_paid(
    sample: list[list[str]], coins: int, money: int, price: int
) -> bool:
    """Whether one column is about what was paid for the other at the price, by the first rows."""
    rows = []
    for row in sample:
        numbers = [number_in(row[at]) for at in (coins, price, money)]
        if all(numbers):
            rows.append([number or 0.0 for number in numbers])
    fitting = sum(
        abs(paid - amount * each) <= NEAR * paid
        for amount, each, paid in rows
    )
    return len(rows) >= ENOUGH_ROWS and fitting >= len(rows) / 2


def _like(money: str) -> frozenset[str]:
    return _DOLLARS if money in _DOLLARS else frozenset({money})


def _coin(series: Series) -> str | None:
    return series.pair.symbol if series.pair else None
