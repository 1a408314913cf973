"""What the names of columns say: the role of a column, the coin and the currency in its name."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from shared.values.symbols import (
    COMMON_WORDS,
    FIAT,
    QUOTES,
    coin_named,
    glued_pair,
    is_known_symbol,
    named_by,
    unaliased,
)
from shared.values.words import lines
from shared.values.zones import without_zone

UNKNOWN_RANK = 999
# Words that may stand in the name of a column of prices and say nothing.
_NOISE = frozenset(
    "and at chart coin crypto daily denominated exchange for historical hourly in index of per "
    "spot the to token utc".split()
)
_UNDECOMPOSED = str.maketrans("ıłøđ", "ilod")
_SIGNS = {
    "$": "usd",
    "€": "eur",
    "£": "gbp",
    "¥": "jpy",
    "₩": "krw",
    "₿": "btc",
}
_DOLLARS = re.compile(r"(?<![A-Za-z])(?P<of>[A-Z]{1,2}) ?\$")
_EMPTY_BRACKETS = re.compile(r"[(\[]\s*[)\]]")
_OF_DOLLARS = {
    "US": "usd",
    "C": "cad",
    "CA": "cad",
    "A": "aud",
    "AU": "aud",
    "HK": "hkd",
    "NZ": "nzd",
    "S": "sgd",
    "SG": "sgd",
    "R": "brl",
    "MX": "mxn",
}
_COUNTED = re.compile(r"^\s*\d{1,2}[a-z]?\. +(?=[a-z])")
_PER = re.compile(r"\b(?P<one>\w+) +per +(?P<other>\w+)\b", re.IGNORECASE)
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_GLUED = re.compile(
    r"(open|high|low|close|price|rate|value|volume|marketcap|capmrktcur|vol)"
    rf"(?:in)?({'|'.join(QUOTES)})"
)
_PAIR_MARKS = re.compile(r"[/\-_: ]+")
# `24h Open (USD)` is an open; of two opens it is the lesser.
_OF_A_DAY = re.compile(
    r"(?<![A-Za-z0-9])24 ?h(?:ours?|rs?)?(?![A-Za-z0-9])", re.IGNORECASE
)
_CHANGE = re.compile(r"%|\+ ?/ ?-|±")  # of a price, and no price itself
_TICKER = re.compile(r"[\s(\[][A-Z][A-Z0-9]{1,9}[)\]]?$")
_NO_TICKERS = frozenset("ma sma ema avg usd".split())
_VOLUMES = ("volume", "quote_volume")


@dataclass(frozen=True)
class NameMeaning:
    """What the name of a column says. `symbol` and `currency` are lower case.

    `currency` of a volume: what it is counted in, which may be the coin. `is_of_a_day`: it is said
    to be over the last 24 hours.
    """

    role: str | None = None
    symbol: str | None = None
    currency: str | None = None
    is_of_a_day: bool = False

    @property
    def subject(self) -> tuple[str | None, str | None]:
        """The coin and the currency."""
        return self.symbol, self.currency

    @property
    def unit(self) -> str | None:
        """What a volume is counted in, as far as its name says."""
        return self.symbol or self.currency


NOTHING = NameMeaning()


def key(name: str) -> str:
    """A name without case, accents and punctuation."""
    folded = unicodedata.normalize("NFKD", name.casefold()).translate(
        _UNDECOMPOSED
    )
    return "".join(letter for letter in folded if letter.isalnum())


@cache
def roles() -> dict[str, tuple[str, int]]:
    """Names of columns → role and rank within it (0 is best).

    The first role that lists a name has it.
    """
    found: dict[str, tuple[str, int]] = {}
    ranks: dict[str, int] = {}
    for line in lines(Path(__file__).with_suffix(".tsv")):
        role, _, names = line.partition("\t")
        for name in names.split():
            found.setdefault(key(name), (role, ranks.get(role, 0)))
            ranks[role] = ranks.get(role, 0) + 1
    return found


def rank(name: str) -> int:
    return roles().get(key(name), ("", UNKNOWN_RANK))[1]


@lru_cache(maxsize=4096)
def read_name(name: str) -> NameMeaning:
    """The role, the coin and the currency that a name holds.

    Nothing where a part of it is not understood. A number that only counts the columns (`1a.
    open`) says nothing.
    """
    name = _COUNTED.sub("", name)
    meaning = _read(without_zone(name))
    short = _OF_A_DAY.sub(" ", name).strip()
    if short == name or not short:
        return meaning
    if meaning == NOTHING:
        meaning = _read(without_zone(short))
    return replace(meaning, is_of_a_day=True)


def _read(name: str) -> NameMeaning:
    if _CHANGE.search(name):
        return NOTHING
    dollars = _DOLLARS.search(name)
    if dollars is not None:
        return _in_dollars(name, dollars)
    if _is_inverse(name):
        return NOTHING
    whole = key(name)
    sign = _sign_in(name)
    if whole in roles():
        return NameMeaning(roles()[whole][0], currency=sign)
    glued = _GLUED.fullmatch(whole)
    if glued is not None:
        role = roles()[glued[1]][0]
        return NameMeaning(role, currency=unaliased(glued[2]))
    pair = _pair_of(name.strip())
    if pair is not None:
        return NameMeaning(None, *pair)
    is_ticker = _TICKER.search(name.strip()) is not None
    return _Tokens(sign, is_ticker=is_ticker).read(_tokens(name))


def _in_dollars(name: str, found: re.Match[str]) -> NameMeaning:
    """`Price (C$)` is in Canadian dollars; nothing for dollars that nobody knows."""
    currency = _OF_DOLLARS.get(found["of"])
    rest = f"{name[: found.start()]} {name[found.end() :]}"
    meaning = _read(_EMPTY_BRACKETS.sub(" ", rest))
    if currency is None or meaning.role is None or meaning.currency:
        return NOTHING
    return replace(meaning, currency=currency)


def _is_inverse(name: str) -> bool:
    """`BTC per USD` is no price of bitcoin."""
    found = _PER.search(name)
    if found is None:
        return False
    coin, money = key(found["one"]), key(found["other"])
    return money in FIAT and coin not in FIAT and _coin(coin) is not None


def _sign_in(name: str) -> str | None:
    """The currency whose sign stands in a name."""
    for mark, currency in _SIGNS.items():
        if mark in name:
            return currency
    return None


def _tokens(name: str) -> list[str]:
    keys = map(key, _TOKEN.findall(name))
    return list(filter(None, keys))


def _pair_of(text: str) -> tuple[str, str | None] | None:
    """A name that is a pair or a coin and nothing else: `BTC-USD`, `BTCUSDT`, `Bitcoin`, `BTC`."""
    parts = list(map(key, filter(None, _PAIR_MARKS.split(text))))
    if _are_base_and_quote(parts, text):
        base, quote = parts
        return unaliased(base), unaliased(quote)
    whole = key(text)
    symbol = named_by(parts)
    if symbol and len(parts) <= 3:
        return symbol, None
    if len(parts) == 1 and whole not in FIAT:
        return _glued_or_symbol(whole, text)
    return None


def _are_base_and_quote(parts: list[str], text: str) -> bool:
    if len(parts) != 2 or parts[1] not in QUOTES:
        return False
    return is_known_symbol(parts[0]) or text.isupper()


def _glued_or_symbol(
    whole: str, text: str
) -> tuple[str, str | None] | None:
    pair = glued_pair(whole)
    if pair is not None and is_known_symbol(pair.symbol):
        return (
            pair.symbol,
            pair.currency.lower() if pair.currency else None,
        )
    is_meant = text.isupper() or whole not in COMMON_WORDS
    return (
        (unaliased(whole), None)
        if is_known_symbol(whole) and is_meant
        else None
    )


class _Tokens:
    """The words of a name, read one after the other."""

    def __init__(self, sign: str | None, *, is_ticker: bool) -> None:
        """`is_ticker`: the last of them may be a symbol that nobody knows."""
        self._is_ticker = is_ticker
        self._symbol: str | None = None
        self._currency = sign
        self._words: list[str] = []

    def read(self, tokens: list[str]) -> NameMeaning:
        for token in tokens:
            if token not in _NOISE and not self._is_taken(token):
                self._words.append(token)
        if not self._words:
            is_whole = (
                self._symbol is not None and self._currency is not None
            )
            return (
                NameMeaning(None, self._symbol, self._currency)
                if is_whole
                else NOTHING
            )
        role = _role(self._words)
        if role is None and self._is_ticker:
            return self._volume_in_a_unit()
        return (
            NameMeaning(role, self._symbol, self._currency)
            if role
            else NOTHING
        )

    def _volume_in_a_unit(self) -> NameMeaning:
        """`Volume XYZ`, where nobody knows XYZ."""
        *words, unit = self._words
        role = _role(words) if words else None
        is_open = self._symbol is None and self._currency is None
        is_unit = unit.isalnum() and unit not in _NO_TICKERS
        if role in _VOLUMES and is_open and is_unit:
            return NameMeaning(role, currency=unit)
        return NOTHING

    def _is_taken(self, token: str) -> bool:
        """Whether the token is the coin or the currency."""
        if token in FIAT and self._currency in (None, token):
            self._currency = token
            return True
        if self._symbol is not None:
            return self._is_quote(token)
        self._symbol = _coin(token)
        if self._symbol is not None:
            return True
        pair = glued_pair(token)
        if pair is None or not is_known_symbol(pair.symbol):
            return False
        self._symbol = pair.symbol
        if pair.currency:
            self._currency = pair.currency.lower()
        return True

    def _is_quote(self, token: str) -> bool:
        quote = unaliased(token)
        if self._currency is not None or quote not in QUOTES:
            return False
        self._currency = quote
        return True


def _role(words: list[str]) -> str | None:
    """The role of words: known together, else that of the last of them."""
    whole = roles().get("".join(words))
    if whole is not None:
        return whole[0]
    if not all(word in roles() for word in words):
        return None
    found = [roles()[word][0] for word in words]
    if (
        len({"volume", "market_cap"}.intersection(found))
        and len(set(found)) > 1
    ):
        return None  # `Volume Average`, `Market Cap Close`
    if "derived_price" in found and found[-1] in (
        "price",
        "close",
        "last",
    ):
        return "derived_price"
    return found[-1]


def _coin(token: str) -> str | None:
    """The symbol of a coin that a single word names."""
    if token in roles():
        return None
    symbol = unaliased(token)
    return coin_named(token) or (
        symbol if is_known_symbol(symbol) else None
    )
