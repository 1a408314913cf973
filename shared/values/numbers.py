"""Numbers in every usual notation, as exact text in one form."""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from shared.errors import BadValueError

_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,60})?", re.ASCII)
_GROUPED = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?", re.ASCII)
_SUFFIXED = re.compile(r"(-?[\d,]*\.?\d+)([KMBT])", re.ASCII | re.IGNORECASE)
_SUFFIXES = {"K": 3, "M": 6, "B": 9, "T": 12}
MISSING = frozenset({"", "-", "–", "—", "null", "none", "nan", "na", "n/a", "nil", "\\n"})
_MAX_DIGITS_BEFORE, _MAX_DIGITS_AFTER = 40, 60
_WIDE = Context(prec=300)


def number(field: str, value: Any) -> str | None:
    """A number as exact text in one form (no exponent, no trailing zeros), None where there is none.

    Raises BadValueError for what is no number, is not finite, or has no place in a NUMERIC of sane size.
    """
    text = value.strip() if isinstance(value, str) else "" if value is None else str(value)
    if _PLAIN.fullmatch(text):
        return canonical(text)
    if text.lower() in MISSING:
        return None
    if _GROUPED.fullmatch(text):
        return canonical(text.replace(",", ""))
    if (suffixed := _SUFFIXED.fullmatch(text)) and not suffixed[1].startswith(","):
        return _from_decimal(field, text, suffixed[1].replace(",", ""), _SUFFIXES[suffixed[2].upper()])
    return _from_decimal(field, text, text, 0)


def canonical(text: str) -> str:
    """Plain decimal digits without needless zeros."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text.startswith(("0", "-0")) and len(text) > 1:
        negative = text.startswith("-")
        digits = text.lstrip("-").lstrip("0")
        digits = digits if digits and not digits.startswith(".") else "0" + digits
        text = digits if not negative or digits == "0" else "-" + digits
    return text


def _from_decimal(field: str, shown: str, text: str, exponent: int) -> str:
    if len(text) > 200 or "_" in text:
        raise BadValueError(field, "not_a_number", f"{field} is not a number: {shown[:60]!r}")
    try:
        parsed = Decimal(text)
    except InvalidOperation:
        raise BadValueError(field, "not_a_number", f"{field} is not a number: {shown[:60]!r}") from None
    if not parsed.is_finite():
        raise BadValueError(field, "not_finite", f"{field} is {shown[:60]}, which is not a finite number")
    if parsed.adjusted() >= _MAX_DIGITS_BEFORE or (parsed and -int(parsed.as_tuple().exponent) > _MAX_DIGITS_AFTER + 20):
        raise BadValueError(field, "out_of_range", f"{field} is out of range: {shown[:60]}")
    return canonical(format(_WIDE.scaleb(parsed, exponent), "f"))
