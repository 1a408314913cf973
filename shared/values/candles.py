"""Prices that can be those of one candle, and prices that cannot be."""

from __future__ import annotations

from collections.abc import Iterable

from shared.errors import BadValueError

OHLC = ("open", "high", "low", "close")


def check_candle(prices: tuple[str | None, ...]) -> tuple[float, float]:
    """Refuse prices that cannot be those of one candle; returns low and high.

    Raises BadValueError `missing_value`, `contradiction`, `zero_price`.
    """
    if None in prices:
        role = OHLC[prices.index(None)]
        message = f"{role} is empty while others of the row are not"
        raise BadValueError(role, "missing_value", message)
    open_, high, low, close = [float(price or 0) for price in prices]
    if not (low <= open_ <= high and low <= close <= high):
        role = "high" if high < max(open_, low, close) else "low"
        shown = "open {}, high {}, low {}, close {}".format(*prices)
        raise BadValueError(
            role, "contradiction", f"{shown} contradict each other"
        )
    if low == 0:
        raise _zero(OHLC[[open_, high, low, close].index(0)])
    return low, high


def are_candles(
    open_: Iterable[str],
    high: Iterable[str],
    low: Iterable[str],
    close: Iterable[str],
) -> bool:
    """Whether `check_candle` refuses none of these candles."""
    columns = [map(float, column) for column in (open_, high, low, close)]
    return all(
        0 < least <= first <= most and least <= last <= most
        for first, most, least, last in zip(*columns, strict=True)
    )


def check_price(price: str) -> str:
    """Refuse a price of zero. Raises BadValueError `zero_price`."""
    if price == "0":
        raise _zero("price")
    return price


def _zero(role: str) -> BadValueError:
    message = f"{role} is 0: nothing was traded at that price"
    return BadValueError(role, "zero_price", message)
