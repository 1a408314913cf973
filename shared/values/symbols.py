"""Symbols, pairs and coins: `BTC/USDT`, `btcusd`, `XBTUSD`, and what a file's name says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

from shared.values.words import words

_HERE = Path(__file__).parent
FIAT = words(_HERE / "fiat.txt")
# Longest first, so that BTCUSDT is not read as BTCUSD + T.
QUOTES = (
    *sorted(FIAT, key=lambda quote: (-len(quote), quote)),
    "btc",
    "eth",
    "bnb",
)
RARER_QUOTES = words(_HERE / "rarer_quotes.txt")
_FILE_QUOTES = frozenset({"usd", "usdt", "usdc", "eur", "gbp", "jpy"})
# That stand before a coin in names of files, and are no words.
_QUOTES_IN_FRONT = _FILE_QUOTES | {
    "krw",
    "brl",
    "inr",
    "aud",
    "cad",
    "chf",
    "idr",
    "rub",
    "busd",
}
# Exchanges, whose names stand before a currency: KRAKENEUR, bitstampUSD.
_EXCHANGES = words(_HERE / "exchanges.txt")
COMMON_WORDS = words(_HERE / "common_words.txt")
ALIASES = {"xbt": "btc", "xdg": "doge"}
# Names that coins had, or that files give them.
_OTHER_NAMES = {
    "ripple": "xrp",
    "binancecoin": "bnb",
    "cryptocomcoin": "cro",
    "usdcoin": "usdc",
    "omisego": "omg",
    "stratis": "strax",
    "numeraire": "nmr",
}
# The Federal Reserve's names for Coinbase's prices.
_FRED = re.compile(r"cb(?P<pair>(?:btc|eth|ltc|bch)usd)")
_FORKS = frozenset(
    {"cash", "classic", "diamond", "gold", "private", "sv"}
)
_DERIVED = frozenset({"baby", "bridged", "wrapped"})
MAX_SYMBOL = 10  # letters of an unknown symbol that a file's name may be
_PAIR_MARKS = re.compile(r"[/\-_: ]")
_TOKEN = re.compile(r"[A-Za-z0-9$]+")
_BITFINEX = re.compile(r"t[A-Z]{6,8}")
_BITFINEX_LONG = re.compile(
    r"t(?P<base>[A-Z]{3,8}):(?P<quote>[A-Z]{3,5})$"
)
_KRAKEN = re.compile(r"X(?P<base>[A-Z]{3})[XZ](?P<quote>[A-Z]{3})")
# Behind a pair: `.P` of a perpetual, `.KRAKEN`, and what a future settles in.
_BEHIND_PAIR = re.compile(
    r"(?<=[A-Za-z]{3})(?:\.(?:P|[A-Z]{4,10})|(?<=[_/][A-Z]{4}):[A-Z]{3,5})$"
)
_PERPETUAL = re.compile(r"[-_:./](?:perp|perpetual|swap)$", re.IGNORECASE)
_SYMBOL = re.compile(r"[a-z0-9$.]{1,20}")
# A slash leaves nothing to guess, whatever the quote; ccxt adds what a future settles in.
_SLASHED = re.compile(
    r"(?=[^/]*[a-z])(?P<base>[a-z0-9$.]{1,20}) ?/ ?(?=[^/]*[a-z])(?P<quote>[a-z0-9$.]{2,20})"
    r"(?::[a-z0-9\-]{1,20})?"
)
_VENUE = re.compile(r"[a-z0-9_]{1,20}:(?P<pair>[a-z0-9$./_\-]{2,40})")
# Behind a pair: `h4`, MetaTrader's minutes, `1h`, `daily`, a year.
_PERIODS = tuple(
    map(
        re.compile,
        (
            r"[mhdw]\d{1,4}$",
            r"\d{1,5}(?:m|h|d|w|min|mo)?$",
            r"(?:hourly|daily|minute)$",
        ),
    )
)


@dataclass(frozen=True)
class Pair:
    """What a price is of. `instrument`: `btc-usd`, or `btc` where the quote is not known."""

    symbol: str
    currency: str | None

    @property
    def is_known(self) -> bool:
        return self.symbol in _known_symbols()

    @cached_property
    def instrument(self) -> str:
        return (
            f"{self.symbol}-{self.currency.lower()}"
            if self.currency
            else self.symbol
        )


@dataclass(frozen=True)
class Coin:
    """A coin of the built-in list."""

    id: str
    symbol: str
    name: str


@cache
def coins() -> tuple[Coin, ...]:
    """The built-in list of well-known coins, best rank first."""
    listed = json.loads((_HERE / "coins.json").read_text("utf-8"))
    return tuple(Coin(*entry) for entry in listed)


@cache
def _known_symbols() -> frozenset[str]:
    return frozenset(coin.symbol.lower() for coin in coins())


@cache
def _known_names() -> dict[str, str]:
    listed = {
        coin.name.lower().replace(" ", ""): coin.symbol.lower()
        for coin in coins()
    }
    return {**_OTHER_NAMES, **listed}


def is_known_symbol(symbol: str) -> bool:
    """Whether the built-in list has a coin of this symbol (lower case)."""
    return symbol in _known_symbols()


def coin_named(name: str) -> str | None:
    """The symbol of the coin of this name (lower case, without spaces)."""
    return _known_names().get(name)


def named_by(parts: list[str]) -> str | None:
    """The symbol of the coin that words name together; `ripple usd` is a pair, not a coin."""
    if len(parts) > 1 and parts[-1] in QUOTES and coin_named(parts[0]):
        return None
    return coin_named("".join(parts))


def unaliased(symbol: str) -> str:
    """The usual symbol for one that some exchanges use."""
    return ALIASES.get(symbol, symbol)


def _pair(base: str, quote: str | None) -> Pair:
    return Pair(
        unaliased(base), unaliased(quote).upper() if quote else None
    )


@lru_cache(maxsize=10_000)
def parse_pair(text: str) -> Pair | None:
    """`BTC/USD`, `BTCUSD`, `btc-usd`, `BTC`, Kraken's `XXBTZUSD`, Bitfinex's `tBTCUSD`.

    None for what is not a symbol.
    """
    text = _undecorated(text.strip()).lower()
    slashed = _SLASHED.fullmatch(text)
    if slashed is not None:
        return _of_slashed(slashed["base"], slashed["quote"])
    parts = [part for part in _PAIR_MARKS.split(text) if part]
    named = named_by(parts)
    if named is not None:
        return _pair(named, None)
    of_two = _of_two(*parts) if len(parts) == 2 else None
    if of_two is not None:
        return of_two
    venue = _VENUE.fullmatch(text)
    if venue is not None:
        return parse_pair(venue["pair"])
    return _of_one(parts[0]) if len(parts) == 1 else None


def _of_two(first: str, second: str) -> Pair | None:
    """`btc`, `usd`; also a coin's name and its symbol: `Bitcoin - BTC`."""
    base = coin_named(first) or first
    if base == second:
        return _pair(base, None)
    if first in FIAT and second not in FIAT and is_known_symbol(second):
        return _pair(second, first)  # Upbit's KRW-BTC, Bittrex's USDT-BTC
    is_pair = _are_base_and_quote(base, second)
    return _pair(base, second) if is_pair else None


def _of_one(word: str) -> Pair | None:
    is_symbol = _SYMBOL.fullmatch(word) and any(map(str.isalnum, word))
    return (glued_pair(word) or _pair(word, None)) if is_symbol else None


def _of_slashed(base: str, quote: str) -> Pair:
    """`BTC/USDT`; also `BINANCE/BTCUSDT`, where the exchange stands in front."""
    inner = None if is_known_symbol(base) else glued_pair(quote)
    return (
        inner
        if inner is not None and inner.is_known
        else _pair(base, quote)
    )


def is_quote(word: str) -> bool:
    """Whether prices are quoted in it often enough to be told from its name (lower case)."""
    return word in QUOTES or word in RARER_QUOTES


def _are_base_and_quote(base: str, quote: str) -> bool:
    if not _SYMBOL.fullmatch(base):
        return False
    are_coins = is_known_symbol(base) and is_known_symbol(quote)
    return is_quote(unaliased(quote)) or are_coins


def _undecorated(text: str) -> str:
    """A pair without what some exchanges put around it; of a perpetual future its pair."""
    text = _PERPETUAL.sub("", text)
    if text.startswith("$") and text[1:].isalnum():
        return text[1:]
    long = _BITFINEX_LONG.fullmatch(text)
    if long is not None:
        return f"{long['base']}/{long['quote']}"
    text = _BEHIND_PAIR.sub("", text)
    if _BITFINEX.fullmatch(text):
        return text[1:]
    kraken = _KRAKEN.fullmatch(text)
    if kraken is None:
        return text
    return kraken["base"] + unaliased(kraken["quote"].lower())


def glued_pair(token: str) -> Pair | None:
    """`btcusdt` as a pair; None for a token that is a coin itself or ends in no currency."""
    if is_known_symbol(token):
        return None  # `wbtc` and `steth` are coins, not pairs
    of_fred = _FRED.fullmatch(token)
    token = of_fred["pair"] if of_fred else token
    splits = list(_splits(token, QUOTES))
    for base, quote in [*splits, *_splits(token, RARER_QUOTES)]:
        # A base that is known beats a longer quote: XBTUSD is XBT in USD, not XB in TUSD.
        if is_known_symbol(unaliased(base)):
            return _pair(base, quote)
    return _pair(*splits[0]) if splits else None


def _splits(
    token: str, quotes: Iterable[str]
) -> Iterator[tuple[str, str]]:
    for quote in quotes:
        base = token.removesuffix(quote)
        if 2 <= len(base) < len(token):
            yield base, quote


def _without_period(token: str) -> str:
    """`ltceur240`, `btcusdh4`, `btcusdt1h`, `btcusd2021` without what follows the pair."""
    if is_known_symbol(token):
        return token
    for period in _PERIODS:
        pair = period.sub("", token)
        if pair != token and glued_pair(pair):
            return pair
    return token


def pair_from_name(stem: str) -> Pair | None:
    """What the stem of a file's name says: `BTCUSDT-1h-2024`, `btc-usd-max`, `coin_Bitcoin`.

    Strongest evidence first: a glued pair of known parts, two neighbours that are a pair, a known
    symbol, a known name, and at last a name that is one word in capitals.
    """
    written = _TOKEN.findall(stem)
    tokens = [
        _without_period(_undecorated(token).lower()) for token in written
    ]
    glued = [
        pair
        for token in tokens
        if not token.isdigit() and (pair := glued_pair(token))
    ]
    for pair in glued:
        if pair.is_known:
            return pair
    longer = _name_of_words(tokens)
    if longer is not None:
        return _pair(longer, _file_quote(tokens)) if longer else None
    return (
        _neighbouring_pair(tokens)
        or _known_coin(tokens)
        or _capital_pair(written, glued)
        or _capital_word(stem, tokens, glued)
    )


def _neighbouring_pair(tokens: list[str]) -> Pair | None:
    """`btc_usd`; also Poloniex's `USDT_BTC`, which names the quote first."""
    for named, second in pairwise(tokens):
        first = coin_named(named) or named
        if (
            first in _QUOTES_IN_FRONT
            and second not in FIAT
            and second not in COMMON_WORDS
            and is_known_symbol(unaliased(second))
        ):
            return _pair(second, first)
        if (
            not is_quote(unaliased(second))
            or first == second
            or not is_known_symbol(unaliased(first))
        ):
            continue
        return _pair(first, second)
    return None


def _file_quote(tokens: list[str]) -> str | None:
    return next(
        (token for token in tokens if token in _FILE_QUOTES), None
    )


def _known_coin(tokens: list[str]) -> Pair | None:
    """A known symbol that is not a common word, a known name, or a common word alone."""
    quote = _file_quote(tokens)
    symbols = [
        unaliased(token)
        for token in tokens
        if is_known_symbol(unaliased(token))
        and token != quote
        and len(token) > 2
    ]
    usual = [symbol for symbol in symbols if symbol not in COMMON_WORDS]
    names = [named for token in tokens if (named := coin_named(token))]
    alone = symbols if len(tokens) == 1 else []
    found = [*usual, *names, *alone]
    return _pair(found[0], quote) if found else None


def _name_of_words(tokens: list[str]) -> str | None:
    """The coin that several words name (`bitcoin-cash`); empty for one that the list does not have.

    None where no word beside a coin's name makes another coin of it.
    """
    for length in (4, 3, 2):
        for start in range(len(tokens) - length + 1):
            words_ = tokens[start : start + length]
            found = named_by(words_)
            if found is not None:
                is_derived = start and tokens[start - 1] in _DERIVED
                return "" if is_derived else found
    for first, second in pairwise(tokens):
        is_forked = coin_named(first) and second in _FORKS
        is_coin = coin_named(second) or is_known_symbol(second)
        if is_forked or (first in _DERIVED and is_coin):
            return ""
    return None


def _capital_pair(written: list[str], glued: list[Pair]) -> Pair | None:
    """An upper-case FILUSDT of a coin that the list does not know."""
    if not glued or glued[0].symbol in _EXCHANGES:
        return None
    is_written = any(
        token.isupper()
        and glued_pair(_without_period(token.lower())) == glued[0]
        for token in written
    )
    return glued[0] if is_written else None


def _capital_word(
    stem: str, tokens: list[str], glued: list[Pair]
) -> Pair | None:
    """A name that is one short word in capitals."""
    is_word = (
        len(tokens) == 1
        and stem.isupper()
        and stem.isalpha()
        and len(stem) <= MAX_SYMBOL
    )
    if not is_word or tokens[0] in COMMON_WORDS or is_quote(tokens[0]):
        return None
    if _ends_in_coin(tokens[0]) or currency_behind_exchange(stem):
        return None  # ADATRX may be a coin, or ADA in TRX
    if tokens[0] in _EXCHANGES:
        return None
    return glued[0] if glued else _pair(tokens[0], None)


def currency_behind_exchange(stem: str) -> str | None:
    """`EUR` of `KRAKENEUR` and `kraken_eur`: the name says the exchange and no coin."""
    tokens = [token.lower() for token in _TOKEN.findall(stem)]
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        for exchange in _EXCHANGES:
            rest = token.removeprefix(exchange)
            money: str = rest or following
            if rest != token and money in FIAT:
                return money.upper()
    return None


def _ends_in_coin(token: str) -> bool:
    """Whether it is two symbols that are known, one behind the other."""
    return any(
        is_known_symbol(token[:cut]) and is_known_symbol(token[cut:])
        for cut in range(3, len(token) - 2)
    )
