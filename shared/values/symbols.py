"""Symbols, pairs and coins: `BTC/USDT`, `btcusd`, `XBTUSD`, and what a file's name says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

FIAT = frozenset(
    ["usd", "usdt", "usdc", "busd", "tusd", "fdusd", "eur", "gbp", "jpy", "krw", "try", "aud", "cad", "chf", "cny", "inr", "brl", "rub", "pln", "sek",
     "nok", "dkk", "mxn", "sgd", "hkd", "nzd", "zar", "thb", "idr", "uah", "czk", "huf", "vnd", "ngn", "ars", "ils"]
)  # fmt: skip
# Longest first, so that BTCUSDT is not read as BTCUSD + T.
QUOTES = (*sorted(FIAT, key=lambda quote: (-len(quote), quote)), "btc", "eth", "bnb")
_FILE_QUOTES = frozenset({"usd", "usdt", "usdc", "eur", "gbp", "jpy"})
# Words in file names that are no coin there, though some are symbols elsewhere.
COMMON_WORDS = frozenset(
    [
        "prices",
        "price",
        "data",
        "export",
        "history",
        "historical",
        "ohlcv",
        "ohlc",
        "candles",
        "candle",
        "chart",
        "charts",
        "all",
        "max",
        "min",
        "daily",
        "hourly",
        "weekly",
        "crypto",
        "coins",
        "coin",
        "market",
        "markets",
        "test",
        "sample",
        "file",
        "download",
        "values",
        "value",
        "quotes",
        "trades",
        "spot",
        "futures",
        "full",
        "new",
        "old",
        "one",
        "near",
        "hot",
        "link",
        "op",
        "ape",
        "flow",
        "dash",
        "comp",
        "sand",
        "bat",
        "atom",
        "etc",
        "ton",
        "leo",
        "cake",
        "blur",
        "dot",
        "uni",
        "render",
        "try",
        "rates",
        "rate",
        "table",
        "output",
        "result",
        "results",
        "report",
        "stats",
        "backup",
        "latest",
        "today",
        "year",
        "month",
        "day",
        *[
            "amp",
            "win",
            "best",
            "super",
            "ocean",
            "ray",
            "soul",
            "alt",
            "keep",
            "ant",
            "move",
            "beam",
            "blast",
            "drift",
            "safe",
            "sonic",
            "manta",
            "flux",
            "nano",
            "ren",
            "hive",
            "zen",
            "ron",
            "bal",
            "ip",
            "fx",
            "rad",
            "med",
            "celo",
            "morpho",
        ],
    ]
)
ALIASES = {"xbt": "btc", "xdg": "doge"}
_PAIR_MARKS = re.compile(r"[/\-_: ]")
_TOKEN = re.compile(r"[A-Za-z0-9$]+")
_BITFINEX = re.compile(r"t[A-Z]{6,8}")
_KRAKEN = re.compile(r"X[A-Z]{3}Z[A-Z]{3}")
_PERPETUAL = re.compile(r"[-_:./](?:perp|perpetual|swap)$", re.IGNORECASE)
_SYMBOL = re.compile(r"[a-z0-9$.]{1,20}")


@dataclass(frozen=True)
class Pair:
    """What a price is of. `instrument` is `btc-usd`, or `btc` where the quote currency is not known."""

    symbol: str
    currency: str | None

    @property
    def is_known(self) -> bool:
        return self.symbol in _known_symbols()

    @cached_property
    def instrument(self) -> str:
        return f"{self.symbol}-{self.currency.lower()}" if self.currency else self.symbol


@dataclass(frozen=True)
class Coin:
    """A coin of the built-in list."""

    id: str
    symbol: str
    name: str


@cache
def coins() -> tuple[Coin, ...]:
    """The built-in list of well-known coins, best rank first."""
    listed = json.loads(Path(__file__).with_name("coins.json").read_text("utf-8"))
    return tuple(Coin(*entry) for entry in listed)


@cache
def _known_symbols() -> frozenset[str]:
    return frozenset(coin.symbol.lower() for coin in coins())


@cache
def _known_names() -> dict[str, str]:
    return {coin.name.lower().replace(" ", ""): coin.symbol.lower() for coin in coins()}


def is_known_symbol(symbol: str) -> bool:
    """Whether the built-in list has a coin of this symbol (lower case)."""
    return symbol in _known_symbols()


def coin_named(name: str) -> str | None:
    """The symbol of the coin of this name (lower case, without spaces), from the built-in list."""
    return _known_names().get(name)


def _pair(base: str, quote: str | None) -> Pair:
    base = ALIASES.get(base, base)
    return Pair(base, ALIASES.get(quote, quote).upper() if quote else None)


@lru_cache(maxsize=10_000)
def parse_pair(text: str) -> Pair | None:
    """`BTC/USD`, `BTCUSD`, `btc-usd`, `BTC`, Kraken's `XXBTZUSD`, Bitfinex's `tBTCUSD`; None for what is no symbol."""
    text = _plain(text.strip())
    parts = [part for part in _PAIR_MARKS.split(text.lower()) if part]
    if (named := _known_names().get("".join(parts))) is not None:
        return _pair(named, None)
    if len(parts) == 2 and _SYMBOL.fullmatch(parts[0]) and parts[1] in QUOTES:
        return _pair(parts[0], parts[1])
    if len(parts) != 1 or not _SYMBOL.fullmatch(parts[0]):
        return None
    return glued_pair(parts[0]) or _pair(parts[0], None)


def _plain(text: str) -> str:
    """A pair without what some exchanges put around it; of a perpetual future the pair that it is on."""
    text = _PERPETUAL.sub("", text)
    if _BITFINEX.fullmatch(text):
        return text[1:]
    return f"{text[1:4]}{text[5:]}" if _KRAKEN.fullmatch(text) else text


def glued_pair(token: str) -> Pair | None:
    """`btcusdt` as a pair; None for a token that is a coin itself or ends in no currency."""
    if token in _known_symbols():
        return None  # `wbtc` and `steth` are coins, not pairs
    splits = [(token.removesuffix(quote), quote) for quote in QUOTES if token.endswith(quote) and len(token) - len(quote) >= 2]
    # A base that is known beats a longer quote: XBTUSD is XBT in USD, not XB in TUSD.
    best = next(((base, quote) for base, quote in splits if ALIASES.get(base, base) in _known_symbols()), splits[0] if splits else None)
    return _pair(*best) if best else None


def pair_from_name(stem: str) -> Pair | None:
    """What the stem of a file's name says: `BTCUSDT-1h-2024`, `cdd_bitstamp_btcusd_d`, `btc-usd-max`, `coin_Bitcoin`.

    Strongest evidence first: a glued pair of known parts, two neighbours that are a pair, a known symbol, a known name,
    and at last a name that is one word in capitals.
    """
    tokens = [_plain(token).lower() for token in _TOKEN.findall(stem)]
    known = _known_symbols()
    glued = [pair for token in tokens if not token.isdigit() and (pair := glued_pair(token))]
    neighbours = [_neighbours(a, b) for a, b in pairwise(tokens) if b in QUOTES and ALIASES.get(a, a) in known and a != b]
    sure = [pair for pair in glued if pair.symbol in known]
    for candidates in (sure, neighbours):
        if candidates:
            return candidates[0]
    quote = next((token for token in tokens if token in _FILE_QUOTES), None)
    symbols = [ALIASES.get(token, token) for token in tokens if ALIASES.get(token, token) in known and token != quote and len(token) > 2]
    names = [_known_names()[token] for token in tokens if token in _known_names()]
    for symbol in (*(symbol for symbol in symbols if symbol not in COMMON_WORDS), *names, *(symbols if len(tokens) == 1 else ())):
        return _pair(symbol, quote)
    if glued and any(token.isupper() and glued_pair(token.lower()) == glued[0] for token in _TOKEN.findall(stem)):
        return glued[0]  # an upper-case FILUSDT of a coin that the list does not know
    if len(tokens) == 1 and stem.isupper() and stem.isalpha() and len(stem) <= 10 and tokens[0] not in COMMON_WORDS | set(QUOTES):
        return glued[0] if glued else _pair(tokens[0], None)
    return None


def _neighbours(a: str, b: str) -> Pair:
    """`btc_usd`; also Poloniex's `USDT_BTC`, which names the quote first."""
    return _pair(b, a) if a in _FILE_QUOTES and b not in _FILE_QUOTES else _pair(a, b)
