"""Which coins a text is about.

By names, symbols in context (`$LINK`, `(LINK)`, `LINK price`), and symbols that are not English
words. A name or symbol that is an English word too counts only where its surroundings show that a
coin is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path

from services.normalizer.coins.senses import without_other_senses
from shared.values.symbols import coins
from shared.values.words import lines, words

_HERE = Path(__file__).parent
_AMBIGUOUS_SYMBOLS = words(_HERE / "ambiguous_symbols.txt")
_AMBIGUOUS_NAMES = words(_HERE / "ambiguous_names.txt")
# In capitals within a title in small letters these may be emphasis or another abbreviation; the
# other words are the symbol then.
_ALSO_CAPITALS = words(_HERE / "capitals.txt")
# `Optimism soars`, `Avalanche slides` may be about something else.
_NEVER_MOVES = frozenset(
    {"Optimism", "Near", "Avalanche", "Harmony", "Flow", "Render"}
)
# What follows these names decides which coin is meant; their patterns are among the aliases.
_DECIDED_BY_ALIASES = ("Bitcoin", "Ethereum", "Tether", "Polygon", "XRP")
_SHOUTED = (
    0.6  # the share of capitals from which on a title says nothing by them
)
_BEGIN = r"(?<![A-Za-z0-9$_-])"
_END = r"(?![A-Za-z0-9_])"
_PAIRED = r"(?:/USDT?|-USDT?|/BTC|USDT)"
_RARE_KINDS = r"[Tt]okens?|[Pp]rotocol|[Bb]lockchain|[Mm]emecoin|[Mm]ainnet"
_RARE_SYMBOL_KINDS = r"[Tt]okens?|[Pp]rice|[Hh]olders|[Mm]emecoin"


def _tab_separated(name: str) -> dict[str, list[str]]:
    """Values by the first field of each line of a data file."""
    found: dict[str, list[str]] = {}
    for line in lines(_HERE / name):
        first, _, value = line.partition("\t")
        found.setdefault(first, []).append(value)
    return found


# What coins are called besides their names.
_ALIASES = _tab_separated("aliases.tsv")
_CONTEXTS = {
    name: "|".join(parts)
    for name, parts in _tab_separated("contexts.txt").items()
}
_KIND = f"(?:{_CONTEXTS['kind']})"
_BEFORE = f"(?:{_CONTEXTS['before']})"
_MOVES = f"(?:{_CONTEXTS['moves']})"
_ACTS = f"(?:{_CONTEXTS['acts']})"
_SYMBOL_CONTEXT = f"(?:{_KIND}|{_MOVES}|{_ACTS}|{_CONTEXTS['symbol']})"


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple(
        (
            coin.symbol.lower(),
            re.compile("|".join(_forms(coin.symbol, coin.name))),
        )
        for coin in coins()
    )


@cache
def _capitals() -> re.Pattern[str]:
    """Symbols that are words, written in capitals."""
    symbols = "|".join(
        map(re.escape, sorted(_AMBIGUOUS_SYMBOLS - _ALSO_CAPITALS))
    )
    return re.compile(rf"{_BEGIN}(?:{symbols})(?![A-Za-z0-9_-])")


def _forms(symbol: str, name: str) -> list[str]:
    """The patterns of a coin of the built-in list."""
    forms = [*_symbol_forms(symbol), *_ALIASES.get(symbol.lower(), ())]
    is_decided = symbol.lower() in _ALIASES and name in _DECIDED_BY_ALIASES
    if symbol == "MATIC" or is_decided:
        return forms
    return [*forms, *_name_forms(name)]


def _symbol_forms(symbol: str) -> list[str]:
    escaped = re.escape(symbol)
    forms = [
        rf"\${escaped}{_END}",
        rf"[(（]{escaped}[)）]",
        rf"{_BEGIN}{escaped}{_PAIRED}{_END}",
        rf"{_BEGIN}{escaped}(?:'s)?\s+{_SYMBOL_CONTEXT}{_END}",
    ]
    if symbol not in _AMBIGUOUS_SYMBOLS:
        forms.append(rf"{_BEGIN}{escaped}(?:s)?{_END}")
    return forms


def _name_forms(name: str) -> list[str]:
    named = re.escape(name)
    if name not in _AMBIGUOUS_NAMES:
        return [rf"{_BEGIN}{named}{_END}{_not_a_longer_name(name)}"]
    forms = [
        rf"{_BEGIN}{named}(?:'s)?\s+(?:{_KIND}|{_ACTS}){_END}",
        rf"{_BEFORE}\s+{named}{_END}",
    ]
    if name not in _NEVER_MOVES:
        forms.append(rf"{_BEGIN}{named}\s+{_MOVES}{_END}")
    return forms


def _not_a_longer_name(name: str) -> str:
    """A longer name must not count for a shorter one: Ethereum Classic is not Ethereum."""
    longer = [
        re.escape(other.name.removeprefix(name))
        for other in coins()
        if other.name.startswith(name + " ")
    ]
    return f"(?!{'|'.join(longer)})" if longer else ""


@lru_cache(maxsize=4096)
def _rarer(symbol: str, name: str) -> re.Pattern[str]:
    """A coin beyond the built-in ones.

    Most of their names are words, so that the text must say that it means the coin.
    """
    escaped = re.escape(symbol)
    named = re.escape(name)
    forms = [
        rf"\${escaped}{_END}",
        rf"{_BEGIN}{named}\s+[(（]\$?{escaped}[)）]",
        rf"{_BEGIN}{escaped}{_PAIRED}{_END}",
        rf"{_BEGIN}{named}(?:'s)?\s+(?:{_RARE_KINDS}|\(?{escaped}\b){_END}",
    ]
    if len(symbol) > 2 and symbol.isalpha():
        forms.append(rf"[(（]{escaped}[)）]")
        forms.append(rf"{_BEGIN}{escaped}\s+(?:{_RARE_SYMBOL_KINDS}){_END}")
    return re.compile("|".join(forms))


def coins_named(
    text: str, rarer: Iterable[Sequence[str]] = ()
) -> list[str]:
    """Symbols (lower case) of the coins that a text names, in order of first mention.

    `rarer`: (symbol, name) of coins to look for, too.
    """
    text = without_other_senses(text)
    found: list[tuple[int, str]] = []
    for symbol, pattern in _patterns():
        match = pattern.search(text)
        if match is not None:
            found.append((match.start(), symbol))
    for symbol, name in rarer:
        match = _rarer(symbol, name).search(text)
        if match is not None:
            found.append((match.start(), symbol.lower()))
    if not _is_shouted(text):
        found += [
            (match.start(), match[0].lower())
            for match in _capitals().finditer(text)
        ]
    return list(dict.fromkeys(symbol for _, symbol in sorted(found)))


def _is_shouted(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    return sum(map(str.isupper, letters)) >= _SHOUTED * len(letters)
