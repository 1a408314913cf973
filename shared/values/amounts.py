"""Numbers in every usual notation, as exact text in one form."""

from __future__ import annotations

import re
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from shared.errors import BadValueError

_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,60})?", re.ASCII)
_GROUPED = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|-?[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?", re.ASCII)  # the second: lakhs
_DOTTED = re.compile(r"-?\d{1,3}(?:\.\d{3})+", re.ASCII)
_DESTROYED = re.compile(r"-?\d{1,3}(?:\.\d{3}){2,}", re.ASCII)
_SPACED = re.compile(r"[-+]?\d{1,3}(?:[ ']\d{3})+(?:[.,]\d+)?", re.ASCII)
_GROUP_MARKS = re.compile(r"[ ']")
_CURRENCY = re.compile(r"^[$€£¥₩₽₹₿₺]\s*|\s*[$€£¥₩₽₹₿₺]$|^(?:US|A|C)\$\s*|^R\$\s*|^(?:USD|EUR|GBP)\s+|\s+(?:USD|EUR|GBP)$")
_PLAIN_MARKS = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-"})
_SUFFIXED = re.compile(r"(-?[\d,]*\.?\d+)([KMBT])", re.ASCII | re.IGNORECASE)
_SUFFIXES = {"K": 3, "M": 6, "B": 9, "T": 12}
MISSING = frozenset({"", "-", "–", "—", "null", "none", "nan", "na", "n/a", "#n/a", "nil", "\\n"})
_MAX_DIGITS_BEFORE, _MAX_DIGITS_AFTER = 40, 60
_WIDE = Context(prec=300)


def number(field: str, value: Any, decimal: str = ".") -> str | None:
    """A number as exact text in one form (no exponent, no trailing zeros), None where there is none.

    `decimal`: what stands before a fraction, a point or a comma; the other of them groups thousands, as spaces and
    apostrophes may. A currency sign before or after is no part of the number. Raises BadValueError for what is no number,
    is not finite, or has no place in a NUMERIC of sane size.
    """
    text = value.strip() if isinstance(value, str) else "" if value is None else str(value)
    if decimal == "." and _PLAIN.fullmatch(text):
        return canonical(text)
    if text.lower() in MISSING:
        return None
    bare = _bare(text)
    if decimal == "," and (whole := _SUFFIXED.fullmatch(bare)):
        bare = f"{_point(field, text, whole[1])}{whole[2]}"
    elif decimal == ",":
        bare = _point(field, text, bare)
    if _GROUPED.fullmatch(bare):
        return canonical(bare.replace(",", ""))
    if _DESTROYED.fullmatch(bare):
        raise _destroyed(field, text)
    if (suffixed := _SUFFIXED.fullmatch(bare)) and not suffixed[1].startswith(","):
        return _from_decimal(field, text, suffixed[1].replace(",", ""), _SUFFIXES[suffixed[2].upper()])
    return _from_decimal(field, text, bare, 0)


def _bare(text: str) -> str:
    """Without currency signs, and without the spaces and apostrophes that group thousands."""
    if not text.isascii():
        text = text.translate(_PLAIN_MARKS)
    text = _CURRENCY.sub("", text)
    return _GROUP_MARKS.sub("", text) if _SPACED.fullmatch(text) else text


def _point(field: str, shown: str, text: str) -> str:
    """A number with a decimal comma as one with a point."""
    if _DESTROYED.fullmatch(text) and text.count(".") > 2:
        raise _destroyed(field, shown)
    return text.replace(".", "").replace(",", ".") if "," in text or _DOTTED.fullmatch(text) else text


def _destroyed(field: str, shown: str) -> BadValueError:
    return BadValueError(
        field, "destroyed_number", f"{field} {shown[:60]!r} has lost its decimal point, as happens in spreadsheets: export the file again"
    )


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
