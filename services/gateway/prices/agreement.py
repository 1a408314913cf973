"""How the prices of several series compare at the same moments. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from services.gateway.prices.moments import Found
from services.gateway.prices.series import WholeSeries

MAJORITY = 3  # of two that differ nobody knows which is wrong
NEAR = timedelta(hours=1)


@dataclass(frozen=True)
class Priced:
    """What a series says at a moment. `deviation`: from the median of all, as a share of it."""

    series: int
    found: Found
    deviation: Decimal

    def shown(self, moment: datetime) -> dict[str, Any]:
        return {
            "series": self.series,
            "price": self.found.price,
            "id": self.found.id,
            "seconds_before": (moment - self.found.time).total_seconds(),
            "deviation_percent": percent(self.deviation),
        }


@dataclass(frozen=True)
class Compared:
    """A moment at which at least two series have a price.

    `spread`: a share of the least one; None where that is 0 and another is not.
    """

    moment: datetime
    prices: list[Priced]
    spread: Decimal | None

    def agrees(self, threshold: Decimal) -> bool:
        return self.spread is not None and self.spread <= threshold

    def width(self) -> Decimal:
        """For comparing."""
        return Decimal("Infinity") if self.spread is None else self.spread

    def outliers(self, threshold: Decimal) -> list[Priced]:
        """Those further from the median than `threshold`, of three or more."""
        if len(self.prices) < MAJORITY:
            return []
        return [
            each
            for each in self.prices
            if abs(each.deviation) > threshold
        ]


def compared(
    moments: Iterable[datetime],
    found: Iterable[Sequence[Found | None]],
    near: timedelta,
) -> list[Compared]:
    """`found`: for each moment the price of each series; those older than `near` do not count."""
    rows = []
    for moment, of_moment in zip(moments, found, strict=True):
        prices = {
            number: each
            for number, each in enumerate(of_moment)
            if each is not None and moment - each.time <= near
        }
        if len(prices) > 1:
            rows.append(_compared(moment, prices))
    return rows


def _compared(moment: datetime, found: dict[int, Found]) -> Compared:
    prices = {number: each.number() for number, each in found.items()}
    middle = median(prices.values())
    return Compared(
        moment,
        [
            Priced(number, found[number], _share(price - middle, middle))
            for number, price in prices.items()
        ],
        spread_of(prices.values()),
    )


def spread_of(prices: Iterable[Decimal]) -> Decimal | None:
    """From the least price to the greatest, as a share of the least; None where that is none."""
    found = list(prices)
    least, most = min(found), max(found)
    if most == least:
        return Decimal(0)
    return (most - least) / least if least > 0 else None


def _share(part: Decimal, whole: Decimal) -> Decimal:
    """0 where nothing can be divided by."""
    return part / whole if whole else Decimal(0)


def percent(share: Decimal) -> float:
    return round(float(share * 100), 4)


def summary(
    series: Sequence[WholeSeries],
    rows: Sequence[Compared],
    threshold: Decimal,
) -> list[dict[str, Any]]:
    """Each series with how far it lies from the others."""
    return [
        {**each.shown, **_of_series(number, rows, threshold)}
        for number, each in enumerate(series)
    ]


def _of_series(
    number: int, rows: Sequence[Compared], threshold: Decimal
) -> dict[str, Any]:
    own = [
        (row, each)
        for row in rows
        for each in row.prices
        if each.series == number
    ]
    if not own:
        nothing = ("mean_deviation_percent", "worst")
        return {"compared": 0, **dict.fromkeys(nothing), "outliers": 0}
    worst_row, worst = max(own, key=lambda pair: abs(pair[1].deviation))
    deviations = [abs(each.deviation) for _, each in own]
    return {
        "compared": len(own),
        "mean_deviation_percent": percent(
            sum(deviations, Decimal(0)) / len(own)
        ),
        "worst": {
            "time": worst_row.moment,
            **worst.shown(worst_row.moment),
        },
        "outliers": sum(
            each in row.outliers(threshold) for row, each in own
        ),
    }


def shown(row: Compared, threshold: Decimal) -> dict[str, Any]:
    return {
        "time": row.moment,
        "spread_percent": None
        if row.spread is None
        else percent(row.spread),
        "agree": row.agrees(threshold),
        "prices": [each.shown(row.moment) for each in row.prices],
        "outliers": [each.found.id for each in row.outliers(threshold)],
    }
