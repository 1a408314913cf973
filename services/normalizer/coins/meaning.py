"""Whether a word that may be a coin means the coin, by what stands around it."""

from __future__ import annotations

import re

from services.normalizer.coins.reading import (
    Mention,
    Reading,
)
from services.normalizer.coins.table import WORD, Need, contexts

COMPOUND = re.compile(
    r"-(?:based|backed|native|linked|powered|focused|related|rival|themed|denominated)\b"
)
_PAIR = re.compile(r"/(?:USD[TC]?|BTC|ETH|EUR|KRW|JPY)\b|-USD[TC]?\b")
_STOCK = re.compile(r"\)?\s+(?:shares|stock)\b", re.IGNORECASE)
_AMOUNT = re.compile(
    r"(?:(?<![\d.,])\d[\d.,]*+\s?(?:[KMB]|million|billion|trillion)|\d,\d{3}|枚)\s*$"
)
_CLOSED = (")", "）")
_OPEN = ("(", "（")
_JOINED = ("-", "/", "@", "&", "'", "’")
_SHORT = 3  # letters of a symbol that is hardly one by itself
_LITTLE_WORDS = ("of", "the", "with", "and", "for")
# Characters before a mention that are looked at.
_BEFORE = 32
_BEFORE_AN_AMOUNT = 16
_BEFORE_A_BRACKET = 80


def is_meant(mention: Mention, reading: Reading) -> bool:
    if mention.form.is_symbol:
        return _is_symbol_meant(mention, reading)
    return _is_name_meant(mention, reading)


# -- symbols --------------------------------------------------------------------------------------


def _is_symbol_meant(mention: Mention, reading: Reading) -> bool:
    text = reading.text
    if mention.form.needs == Need.SURE or _before(mention, text) == "$":
        return True
    if _STOCK.match(text, mention.end):
        return False
    if _is_in_brackets(mention, text):
        return _is_meant_in_brackets(mention, reading)
    if _PAIR.match(text, mention.end):
        return True
    if _is_joined(mention, text):
        return False
    return _looks_like_symbol(mention, reading) or _has_symbol_context(
        mention, reading
    )


def _before(mention: Mention, text: str) -> str:
    return text[mention.start - 1 : mention.start]


def _after(mention: Mention, text: str) -> str:
    return text[mention.end : mention.end + 1]


def _is_in_brackets(mention: Mention, text: str) -> bool:
    is_open = _before(mention, text) in _OPEN
    return is_open and _after(mention, text) in _CLOSED


def _is_joined(mention: Mention, text: str) -> bool:
    """Whether it is a part of another word, but for `BTC-backed`."""
    if _before(mention, text) in _JOINED:
        return True
    is_dashed = _after(mention, text) == "-"
    return is_dashed and COMPOUND.match(text, mention.end) is None


def _looks_like_symbol(mention: Mention, reading: Reading) -> bool:
    """Whether its capitals are enough."""
    needs = mention.form.needs
    if needs == Need.CAPS:
        return not reading.is_shouted
    is_long = mention.end - mention.start > _SHORT
    return needs == Need.CONTEXT and reading.is_other_script and is_long


def _is_meant_in_brackets(mention: Mention, reading: Reading) -> bool:
    """`Seagate (STX)` is more likely a stock, unless the text is about coins."""
    if mention.form.needs != Need.CAPS and not reading.is_about_coins():
        return False
    symbol = reading.text[mention.start : mention.end]
    return not is_spelt_out(reading.text, mention.start - 1, symbol)


def _has_symbol_context(mention: Mention, reading: Reading) -> bool:
    text = reading.text
    if mention.end - mention.start == 1:
        return False
    if contexts()["coin"].match(text, mention.end):
        return True
    if _is_amount(mention, text):
        return True
    if mention.form.needs == Need.STRICT or reading.is_shouted:
        return False
    return _is_followed(text, mention.end, ("moves", "kind", "acts"))


def _is_amount(mention: Mention, text: str) -> bool:
    """`3.75B PUMP`"""
    start = mention.start
    before = text[max(0, start - _BEFORE_AN_AMOUNT) : start]
    is_long = mention.end - start >= _SHORT
    return is_long and _AMOUNT.search(before) is not None


def is_spelt_out(text: str, bracket: int, symbol: str) -> bool:
    """`augmented reality (AR)`: the first letters of the words before make the abbreviation."""
    words = WORD.findall(
        text[max(0, bracket - _BEFORE_A_BRACKET) : bracket]
    )
    content = [
        word for word in words if word.lower() not in _LITTLE_WORDS
    ]
    return any(
        "".join(word[0] for word in listed[-len(symbol) :]).upper()
        == symbol
        for listed in (words, content)
    )


# -- names ----------------------------------------------------------------------------------------


def _is_name_meant(mention: Mention, reading: Reading) -> bool:
    text = reading.text
    needs = mention.form.needs
    if needs == Need.SURE:
        return True
    if text[mention.start : mention.end].islower():
        return mention.form.text.islower()
    if needs == Need.CAPS:
        return True
    if _is_beside_symbol(text, mention.end, mention.form.symbol):
        return True
    if needs == Need.BESIDE:
        return False
    if reading.is_other_script:
        return True
    if reading.is_other_language and reading.is_about_coins():
        return True
    if _STOCK.match(text, mention.end):
        return False
    return _has_name_context(mention, text)


def _is_beside_symbol(text: str, end: int, symbol: str) -> bool:
    """`Story (IP)`, `Story ($IP)`."""
    following = text[end : end + len(symbol) + 5]
    rest = following.lstrip(" (（[$")
    pattern = rf"{re.escape(symbol.upper())}(?![A-Za-z0-9])"
    return rest != following and re.match(pattern, rest) is not None


def _has_name_context(mention: Mention, text: str) -> bool:
    start = mention.start
    end = mention.end
    if (
        _before(mention, text) in ("-", "@")
        or _after(mention, text) == "-"
    ):
        return COMPOUND.match(text, end) is not None
    if _is_followed(text, end, _following(mention)):
        return True
    before = text[max(0, start - _BEFORE) : start]
    return contexts()["before"].search(before) is not None


def _following(mention: Mention) -> tuple[str, ...]:
    if mention.form.needs == Need.CONTEXT:
        return ("kind", "acts", "had", "moves")
    return ("kind", "acts", "had")


def _is_followed(text: str, end: int, kinds: tuple[str, ...]) -> bool:
    known = contexts()
    return any(known[kind].match(text, end) for kind in kinds)
