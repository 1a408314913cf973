"""Coins that the table does not have, where the text says that it means one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from services.normalizer.coins.meaning import is_spelt_out
from services.normalizer.coins.reading import Reading
from services.normalizer.coins.table import WORD, forms, words

# `LEASH token`, `ABC/USDT`, `DeFi Coin (DEFC)`, `Any (ANY) Price Prediction`.
_UNLISTED = re.compile(
    r"(?<![A-Za-z0-9$_/.-])([A-Z][A-Z0-9]{2,9})"
    r"(?:\s+(?:[Tt]oken|[Mm]emecoin|[Mm]eme [Cc]oin)\b|\s?(?:代币|代幣|토큰|トークン)|/USDT\b)"
    r"|(?:Coin|Token|Inu|Protocol|Swap|Network|Finance|Chain|DAO)"
    r"\s\(\$?([A-Z][A-Z0-9]{1,9})\)"
    r"|\(\$?([A-Z][A-Z0-9]{1,9})\)\s+[Pp]rice\s+(?:[Pp]rediction|[Aa]nalysis|[Ff]orecast)\b"
)
_KINDS = (
    r"(?:[Tt]okens?|[Pp]rotocol|[Mm]emecoin|[Mm]eme [Cc]oin|[Mm]ainnet)\b"
)
_BEGIN = r"(?<![A-Za-z0-9$_-])"
_END = r"(?![A-Za-z0-9_])"


def unlisted_in(reading: Reading) -> Iterator[tuple[int, str]]:
    """(place, symbol) of coins of no list that say of themselves that they are."""
    if reading.is_shouted:
        return
    for match in _UNLISTED.finditer(reading.text):
        symbol = match[1] or match[2] or match[3]
        if _is_unlisted(match, symbol, reading.text):
            yield match.start(), symbol.lower()


def _is_unlisted(match: re.Match[str], symbol: str, text: str) -> bool:
    known = forms().get(symbol.lower(), ())
    if symbol in words("no_coin") or any(
        form.is_symbol for form in known
    ):
        return False
    if match[1] is not None:
        return True
    bracket = text.index("(", match.start())
    return not is_spelt_out(text, bracket, symbol)


def rarer_in(
    text: str, rarer: Iterable[Sequence[str]], known: set[str]
) -> Iterator[tuple[int, str]]:
    """(place, symbol) of those of these (symbol, name) that the text means.

    Most of their names are words, so that the text must say it. `known`: symbols that were found.
    """
    written = set(WORD.findall(text))
    for symbol, name in rarer:
        first = WORD.match(name)
        may_be = symbol.upper() in written or (
            first is not None and first[0] in written
        )
        match = _pattern(symbol, name).search(text) if may_be else None
        if match is not None and symbol.lower() not in known:
            yield match.start(), symbol.lower()


@lru_cache(maxsize=4096)
def _pattern(symbol: str, name: str) -> re.Pattern[str]:
    return re.compile("|".join(_forms(symbol, name)))


def _forms(symbol: str, name: str) -> Iterator[str]:
    upper = re.escape(symbol.upper())
    named = re.escape(name)
    yield rf"{_BEGIN}{named or upper}\s+[(（]?\$?{upper}{_END}"
    letters = sum(map(str.isalpha, symbol))
    if symbol.upper() not in words("no_coin") and letters > 1:
        yield from _symbol_forms(symbol, upper, letters)
    if " " in name or not name[1:].islower():
        yield rf"{_BEGIN}{named}\s+{_KINDS}"


def _symbol_forms(symbol: str, upper: str, letters: int) -> Iterator[str]:
    yield rf"{_BEGIN}{upper}/USD[TC]?{_END}"
    if not symbol[0].isdigit() or letters > 2:
        yield rf"\${upper}{_END}"
    if len(symbol) > 2 and symbol.isalpha():
        kinds = r"(?:[Tt]oken|[Mm]emecoin|[Mm]eme [Cc]oin)\b"
        yield rf"{_BEGIN}{upper}\s+{kinds}"
