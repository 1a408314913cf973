"""Numbers in every usual notation, as exact text in one form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from shared.errors import BadValueError

_PLAIN_AMOUNTS = re.compile(
    r"\d{1,30}(?:\.\d{1,60})?(?:\x1f\d{1,30}(?:\.\d{1,60})?)*", re.ASCII
)
_PLAIN = re.compile(r"-?\d{1,30}(?:\.\d{1,60})?", re.ASCII)
_GROUPED = re.compile(
    r"-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|-?[1-9]\d?(?:,\d{2})+,\d{3}(?:\.\d+)?",
    re.ASCII,
)  # the second: lakhs
_DOTTED = re.compile(r"-?\d{1,3}(?:\.\d{3})+", re.ASCII)
_DESTROYED = re.compile(r"-?\d{1,3}(?:\.\d{3}){2,}", re.ASCII)
_SPACED = re.compile(r"[-+]?\d{1,3}(?:[ ']\d{3})+(?:[.,]\d+)?", re.ASCII)
_GROUP_MARKS = re.compile(r"[ ']")
_CURRENCY = re.compile(
    r"^[$€£¥₩₽₹₿₺]\s*|(?<!\s)\s*+[$€£¥₩₽₹₿₺]$|^(?:US|A|C)\$\s*|^R\$\s*"
    r"|^(?:USD|EUR|GBP)\s+|(?<!\s)\s++(?:USD|EUR|GBP)$"
)
SIGNS = {
    "€": "EUR",
    "EUR": "EUR",
    "£": "GBP",
    "GBP": "GBP",
    "₩": "KRW",
    "₽": "RUB",
    "₹": "INR",
    "₿": "BTC",
    "₺": "TRY",
    "R$": "BRL",
    "$": "USD",
    "US$": "USD",
    "USD": "USD",
    "A$": "AUD",
    "C$": "CAD",
    "¥": "JPY",
}
# What else a sign may stand for. A coin that is worth a currency has its letters in its own.
_DOLLARS = frozenset(
    "AUD CAD HKD MXN NZD SGD TWD ARS CLP COP BRL DAI FRAX".split()
)
_YUAN = frozenset({"CNY", "CNH"})
_PLAIN_MARKS = str.maketrans(
    {
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "\u2019": "'",
        "\u2212": "-",
    }
)
_SUFFIXED = re.compile(
    r"(-?(?:[\d,]*+\.\d++|[\d,]++(?<=\d)))([KMBT])",
    re.ASCII | re.IGNORECASE,
)
_SUFFIXES = {"K": 3, "M": 6, "B": 9, "T": 12}


def sign_in(text: str) -> str | None:
    """The currency whose sign stands beside a number: `EUR` of `€42`; None where none does."""
    found = _CURRENCY.search(text.strip())
    return SIGNS.get(found[0].strip()) if found else None


def contradicts(sign: str, currency: str) -> bool:
    """Whether an amount with this currency's sign (`sign_in`) is none of `currency`."""
    if sign[:2] in currency:
        return False
    if sign == "USD":
        return currency not in _DOLLARS
    return not (sign == "JPY" and currency in _YUAN)


def number_in(text: str) -> float | None:
    """A plain number; None for anything else."""
    text = text.strip()
    return float(text) if _PLAIN.fullmatch(text) else None


MISSING = frozenset(
    {
        "",
        ".",  # of the Federal Reserve
        "-",
        "–",
        "—",
        "null",
        "none",
        "nan",
        "na",
        "n/a",
        "#n/a",
        "nil",
        "\\n",
    }
)
_MAX_DIGITS_BEFORE = 40
_MAX_DIGITS_AFTER = 60
_MAX_LENGTH = 200
_SHOWN = 60  # characters of a value in a message
_WIDE = Context(prec=300)


def number(field: str, value: Any, decimal: str = ".") -> str | None:
    """A number as exact text: no exponent, no trailing zeros. None where there is none.

    `decimal`: what stands before a fraction, a point or a comma; the other of them groups
    thousands, as spaces and apostrophes may. A currency sign is not part of the number. Raises
    BadValueError for what is not a number, is not finite, or has no place in a NUMERIC of sane
    size.
    """
    text = value.strip() if isinstance(value, str) else _text(value)
    if decimal == "." and _PLAIN.fullmatch(text):
        return canonical(text)
    if text.lower() in MISSING:
        return None
    if len(text) > _MAX_LENGTH:
        raise _not_a_number(field, text)
    bare = _bare(text)
    if decimal == ",":
        bare = _with_point(field, text, bare)
    if _GROUPED.fullmatch(bare):
        return canonical(bare.replace(",", ""))
    if _DESTROYED.fullmatch(bare):
        raise _destroyed(field, text)
    suffixed = _SUFFIXED.fullmatch(bare)
    if suffixed is not None and not suffixed[1].startswith(","):
        exponent = _SUFFIXES[suffixed[2].upper()]
        return _from_decimal(
            field, text, suffixed[1].replace(",", ""), exponent
        )
    return _from_decimal(field, text, bare, 0)


def amount(field: str, value: Any, decimal: str = ".") -> str | None:
    """A number that cannot be negative; None where there is none. Raises BadValueError."""
    found = number(field, value, decimal)
    if found is not None and found.startswith("-"):
        message = f"{field} is negative: {found}"
        raise BadValueError(field, "negative", message)
    return found


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _bare(text: str) -> str:
    """Without currency signs, and without the spaces and apostrophes that group thousands."""
    if not text.isascii():
        text = text.translate(_PLAIN_MARKS)
    text = _CURRENCY.sub("", text)
    return _GROUP_MARKS.sub("", text) if _SPACED.fullmatch(text) else text


def _with_point(field: str, shown: str, bare: str) -> str:
    """A number with a decimal comma as one with a point, its suffix kept."""
    suffixed = _SUFFIXED.fullmatch(bare)
    number, suffix = suffixed.groups() if suffixed else (bare, "")
    return f"{_point(field, shown, number)}{suffix}"


def _point(field: str, shown: str, text: str) -> str:
    if _DESTROYED.fullmatch(text) and text.count(".") > 2:
        raise _destroyed(field, shown)
    if "," in text or _DOTTED.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    return text


def _destroyed(field: str, shown: str) -> BadValueError:
    return BadValueError(
        field,
        "destroyed_number",
        f"{field} {shown[:_SHOWN]!r} has lost its decimal point, as happens in spreadsheets: "
        "export the file again",
    )


def plain_amounts(texts: Sequence[str]) -> list[str] | None:
    """Numbers as `amount` reads them; None unless each is written in digits with a point or none.

    As nearly all are: they are checked in one go.
    """
    if not _PLAIN_AMOUNTS.fullmatch("\x1f".join(texts)):
        return None
    return [
        canonical(text) if text[-1] == "0" or text[0] == "0" else text
        for text in texts
    ]


def canonical(text: str) -> str:
    """Plain decimal digits without needless zeros."""
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text.startswith(("0", "-0")) and len(text) > 1:
        return _without_leading_zeros(text)
    return text


def _without_leading_zeros(text: str) -> str:
    digits = text.lstrip("-").lstrip("0")
    if not digits or digits.startswith("."):
        digits = "0" + digits
    return (
        f"-{digits}" if text.startswith("-") and digits != "0" else digits
    )


def _from_decimal(
    field: str, shown: str, text: str, exponent: int
) -> str:
    if "_" in text:
        raise _not_a_number(field, shown)
    try:
        parsed = Decimal(text)
    except InvalidOperation:
        raise _not_a_number(field, shown) from None
    if not parsed.is_finite():
        message = (
            f"{field} is {shown[:_SHOWN]}, which is not a finite number"
        )
        raise BadValueError(field, "not_finite", message)
    if _is_out_of_range(parsed):
        message = f"{field} is out of range: {shown[:_SHOWN]}"
        raise BadValueError(field, "out_of_range", message)
    return canonical(format(_WIDE.scaleb(parsed, exponent), "f"))


def _not_a_number(field: str, shown: str) -> BadValueError:
    message = f"{field} is not a number: {shown[:_SHOWN]!r}"
    return BadValueError(field, "not_a_number", message)


def _is_out_of_range(number: Decimal) -> bool:
    if number.adjusted() >= _MAX_DIGITS_BEFORE:
        return True
    digits_after = -int(number.as_tuple().exponent)
    return bool(number) and digits_after > _MAX_DIGITS_AFTER + 20
