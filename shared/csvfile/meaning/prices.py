"""Which column of several is the price, and which four are a candle.

A close or a last price is the price; what is made of several prices (VWAP, mid) is one only where
nothing else is; a column called value or rate only alone. Where two could be meant and their cells
differ, the file is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.csvfile.meaning.columns import Column, fullest
from shared.csvfile.meaning.evidence import Evidence
from shared.errors import UnmappableError
from shared.values.candles import OHLC

Chosen = dict[str, Column]
Roles = dict[
    str, list[Column]
]  # columns by the role that their names say
_STRONG = ("close", "last", "price")
_WEAK = ("derived_price", "vague_price")


class PriceChooser:
    """Chooses among the columns of one coin and currency."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def choose(self, roles: Roles) -> Chosen:
        """Open, high, low, close, or price; empty where no column is a price.

        A candle may have a price besides, for rows without open, high and low. Raises
        UnmappableError `several_prices`.
        """
        bounds = {
            role: self._best(role, roles.get(role, ()))
            for role in OHLC[:3]
        }
        if all(bounds.values()):
            candle = {
                role: column for role, column in bounds.items() if column
            }
            closes = self._closes(roles)
            if closes:
                return {**candle, **closes}
        price = self._price(roles)
        return {"price": price} if price is not None else {}

    def _closes(self, roles: Roles) -> Chosen:
        """The close of a candle, and the price where that is another column."""
        close = self._best("close", roles.get("close", ())) or self._best(
            "close", roles.get("last", ())
        )
        price = self._best("price", roles.get("price", ()))
        if price is None:
            return {} if close is None else {"close": close}
        if close is None:
            return {"close": price}  # Investing.com's word for it
        return {"close": close, "price": price}

    def _price(self, roles: Roles) -> Column | None:
        for tier in (_STRONG, _WEAK):
            found = [
                column for role in tier for column in roles.get(role, ())
            ]
            if found:
                return self._best("price", found)
        return None

    def _best(
        self, role: str, columns: Sequence[Column]
    ) -> Column | None:
        """The one column; of several the fullest, where their cells agree.

        One of the last 24 hours gives way to one that says no span.
        """
        spanless = [
            column for column in columns if not column.meaning.is_of_a_day
        ]
        usable = fullest(spanless or list(columns))
        if not usable:
            return None
        best = max(usable, key=lambda column: column.filled)
        for other in usable:
            if other is not best and not self._agree(best, other):
                raise self._several(role, usable)
        return best

    def _agree(self, one: Column, other: Column) -> bool:
        """Whether the first rows have the same in both, where both have something."""
        pairs = [
            (row[one.position].strip(), row[other.position].strip())
            for row in self._evidence.sample
        ]
        filled = [
            (left, right) for left, right in pairs if left and right
        ]
        return bool(filled) and all(
            left == right for left, right in filled
        )

    def _several(
        self, role: str, columns: Sequence[Column]
    ) -> UnmappableError:
        shown = ", ".join(repr(column.shown) for column in columns)
        names = list(map(self._evidence.reference, columns))
        others = " or ".join(names[1:])
        return self._evidence.refusal(
            "several_prices",
            role,
            f"each of the columns {shown} may be the {role}, and they differ. Say which one is",
            columns=f"{{{role}: {names[0]}}}   # or {others}",
        )
