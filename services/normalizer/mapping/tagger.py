"""Which coins a text is about: symbols in context (`$LINK`, `(LINK)`), names, and symbols that are no English words."""

from __future__ import annotations

import re
from functools import cache

from shared.values.symbols import coins

# Symbols and names that are English words or common abbreviations: only `$LINK`, `(LINK)` or `LINK price` counts.
_AMBIGUOUS_SYMBOLS = frozenset(
    [
        "LINK",
        "NEAR",
        "ONE",
        "HOT",
        "BAT",
        "WAVES",
        "DASH",
        "FLOW",
        "SAND",
        "GALA",
        "COMP",
        "APE",
        "OP",
        "ATOM",
        "ICP",
        "ETC",
        "TON",
        "LEO",
        "SUI",
        "APT",
        "RENDER",
        "FIL",
        "ENA",
        "BLUR",
        "CAKE",
        "TRUMP",
        "HYPE",
        "UNI",
        "DOT",
        "FET",
        "JUP",
        "SEI",
        "BONK",
        "GRT",
        "ENS",
        "WIF",
        "FTT",
        "NEO",
        "TAO",
        "DAI",
    ]
)
_AMBIGUOUS_NAMES = frozenset(
    {
        "Flow",
        "Gala",
        "Dash",
        "Maker",
        "Stacks",
        "Terra",
        "Waves",
        "Neo",
        "Quant",
        "Compound",
        "Render",
        "Cosmos",
        "Harmony",
        "Mantle",
        "Stellar",
        "Avalanche",
        "Jupiter",
        "Blur",
        "Optimism",
        "Immutable",
        "Sui",
        "Sei",
        "Pepe",
        "Theta Network",
    }
)
_CONTEXT = r"(?:price|token|coin|ETF|holders|whales|futures)"


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    compiled = []
    for coin in coins():
        symbol, name = re.escape(coin.symbol), re.escape(coin.name)
        forms = [rf"\${symbol}\b", rf"\({symbol}\)", rf"\b{symbol}(?:/USDT?|-USDT?)\b", rf"\b{symbol}\s+{_CONTEXT}\b"]
        if coin.symbol not in _AMBIGUOUS_SYMBOLS:
            forms.append(rf"(?<![\w$]){symbol}(?!\w)")
        # A longer name must not count for a shorter one: Bitcoin Cash is not Bitcoin, Ethereum Classic not Ethereum.
        longer = [re.escape(other.name.removeprefix(coin.name)) for other in coins() if other.name.startswith(coin.name + " ")]
        guard = f"(?!{'|'.join(longer)})" if longer else ""
        forms.append(rf"\b{name}\b{guard}" if coin.name not in _AMBIGUOUS_NAMES else rf"\b{name}\s+{_CONTEXT}\b")
        compiled.append((coin.symbol.lower(), re.compile("|".join(forms))))
    return tuple(compiled)


def coins_named(text: str) -> list[str]:
    """Symbols (lower case) of the coins that a text names, in order of first mention."""
    found = [(match.start(), symbol) for symbol, pattern in _patterns() if (match := pattern.search(text))]
    return list(dict.fromkeys(symbol for _, symbol in sorted(found)))
