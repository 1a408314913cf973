"""Which coins a text is about: names, symbols in context (`$LINK`, `(LINK)`, `LINK price`), and symbols that are no English words.

A name or symbol that is an English word too counts only where its surroundings say that a coin is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from services.normalizer.coins.senses import without_other_senses
from shared.values.symbols import coins

# Symbols that are words or common abbreviations: bare and in capitals they are no evidence.
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
        "AMP",
        "AR",
        "SC",
        "W",
        "S",
        "ZK",
        "RAY",
        "OCEAN",
        "AUDIO",
        "NANO",
        "HIVE",
        "FLUX",
        "BLAST",
        "DRIFT",
        "SAFE",
        "RON",
        "ROSE",
        "REN",
        "ZEN",
        "ICX",
        "BEAM",
        "MOVE",
        "MINA",
        "MANTA",
        "STX",
        "POL",
        "MANA",
        "IOTA",
        "CELO",
        "METIS",
        "KAITO",
        "BAL",
        "LPT",
        "SUSHI",
        "OMG",
        "CELR",
        "HNT",
        "KAVA",
        "AXL",
        "GNO",
        "UMA",
        "ONT",
        "IP",
        "SXP",
        "LEND",
        "BIT",
        "CVX",
        "JTO",
    ]
)
# Names that are words, or names of something else.
_AMBIGUOUS_NAMES = frozenset(
    [
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
        "Near",
        "Pepe",
        "Helium",
        "Secret",
        "Nano",
        "Flux",
        "Hive",
        "Blast",
        "Safe",
        "Sonic",
        "Ren",
        "Amp",
        "Frax",
        "Sushi",
        "Oasis",
        "Horizen",
        "Golem",
        "Loopring",
        "Drift",
        "Metis",
        "Ronin",
        "Popcat",
        "Wagmi",
        "Morpho",
        "Pendle",
        "Zora",
        "Kaito",
        "Jito",
        "Celsius",
        "Fantom",
        "Ordi",
        "Balancer",
        "Ontology",
        "Symbol",
    ]
)
_ALIASES = {  # what coins are called besides their names; those in italics of the trade are words of their own
    "btc": (r"(?<![Ww]rapped )\b(?:[Bb]itcoins?|BITCOIN)\b(?!\s+(?:Cash|Gold|SV|Magazine|Diamond|Depot|Suisse)\b|\.com)", "比特币", "比特幣"), "eth": (r"(?<![Ww]rapped )\b(?:[Ee]ther(?:eum)?|ETHEREUM|ETHER)\b(?!\s+(?:Classic|Name Service)\b|\.fi)", "以太坊", "以太币", "以太幣"),
    "xrp": (r"\bRipple\b(?!\s+(?:USD|[Ee]ffects?)\b)", "瑞波"), "usdt": (r"\bTether\b(?!\s+Gold)", "泰达"), "bnb": (r"\bBNB Chain\b", r"\bBinance Coin\b", "币安币"), "sol": (r"\bSolana\b", "索拉纳"),
    "doge": (r"\bDogecoin\b", "狗狗币"), "ltc": (r"\bLitecoin\b", "莱特币"), "ada": (r"\bCardano\b", "卡尔达诺"), "pol": (r"\bPolygon\b", "多边形"), "mkr": (r"\bMakerDAO\b", r"\bMaker Protocol\b"),
    "imx": (r"\bImmutable\s?X\b",), "shib": (r"\bShiba\b",), "dot": (r"\bPolkadot\b", "波卡"), "avax": ("雪崩协议",), "op": ("乐观主义",), "link": (r"\bChainlink\b",), "near": (r"\bNEAR Protocol\b",),
    "ton": (r"\bToncoin\b", r"\bThe Open Network\b"), "wif": (r"(?i:\bdogwifhat\b)",),
    "dydx": (r"(?i:\bdydx\b)",), "usdc": (r"\bUSD Coin\b",), "luna": (r"\bTerra(?:'s)?\s+(?:LUNA|Luna)\b", r"\bLuna\b(?=\s+(?:Foundation|token|price))"),
    "hbar": (r"\bHedera\b",), "stx": (r"\bStacks\b(?=\s+(?:network|blockchain|Foundation|token|STX|layer))",), "arb": (r"\bArbitrum\b",), "zec": (r"\bZcash\b",), "trx": (r"\b(?:TRON|Tron)\b",),
}  # fmt: skip
_KIND = r"(?:[Pp]rotocol|[Nn]etwork|[Bb]lockchain|[Cc]hain|[Ff]oundation|[Ll]abs|[Tt]okens?|[Cc]oins?|[Pp]rice|DAO|Superchain|[Ff]inance|[Ee]cosystem|[Mm]ainnet|[Tt]estnet|ETFs?|[Hh]olders|[Ww]hales|[Ff]utures|[Vv]alidators|[Ss]takers|L1|L2|TVL|DeFi|NFTs?|[Dd]evelopers|[Bb]ulls|[Bb]ears|[Mm]emecoin|Intents)"
_BEFORE = r"(?:Layer[ -]?[12]|L[12]|[Bb]lockchain|[Nn]etwork|[Pp]rotocol|[Rr]ollup|[Tt]oken|[Mm]emecoin|DEX|[Ss]idechain)"
_MOVES = r"(?:[Ss]urges|[Jj]umps|[Ss]oars|[Rr]allies|[Ss]lides|[Pp]lunges|[Tt]umbles|[Ss]lips|[Dd]ips|[Ss]pikes|[Rr]ebounds|[Ss]inks|[Cc]rashes|[Cc]limbs)"
_ACTS = r"(?:[Oo]pens|[Ll]aunches|[Uu]nveils|[Rr]aises|[Hh]alts|[Pp]auses|[Ss]uffers|[Hh]acked|[Ee]xploited|[Pp]artners|[Ii]ntegrates|[Rr]olls [Oo]ut|[Aa]ctivates|[Aa]nnounces|[Pp]roposes|[Rr]ebrands|[Ll]ists|[Dd]elays)"
_SYMBOL_CONTEXT = rf"(?:{_KIND}|{_MOVES}|{_ACTS}|[Hh]its|[Ff]alls|[Dd]rops|[Rr]ises|[Gg]ains|[Oo]pen interest|[Tt]rades|[Oo]utperforms)"
_NEVER_MOVES = frozenset({"Optimism", "Near", "Avalanche", "Harmony", "Flow", "Render"})  # `Optimism soars`, `Avalanche slides`
# In capitals within a title in small letters these may be emphasis or another abbreviation; the other words are the symbol then.
_ALSO_CAPITALS = frozenset(
    [
        "ONE",
        "HOT",
        "ETC",
        "OP",
        "W",
        "S",
        "AR",
        "SC",
        "IP",
        "ICP",
        "AMP",
        "SAFE",
        "LEO",
        "TRUMP",
        "HYPE",
        "MOVE",
        "TON",
        "COMP",
        "APE",
        "OMG",
        "LPT",
        "BEAM",
        "AUDIO",
        "DAI",
        "ENS",
        "BIT",
        "STX",
        "LEND",
        "ZK",
    ]
)
_SHOUTED = 0.6  # the share of capitals from which on a title says nothing by them


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((coin.symbol.lower(), re.compile("|".join(_forms(coin.symbol, coin.name)))) for coin in coins())


@cache
def _capitals() -> re.Pattern[str]:
    """Symbols that are words, written in capitals."""
    return re.compile(rf"(?<![A-Za-z0-9$_-])(?:{'|'.join(map(re.escape, sorted(_AMBIGUOUS_SYMBOLS - _ALSO_CAPITALS)))})(?![A-Za-z0-9_-])")


def _forms(symbol: str, name: str) -> list[str]:
    escaped, named = re.escape(symbol), re.escape(name)
    begin, end = r"(?<![A-Za-z0-9$_-])", r"(?![A-Za-z0-9_])"
    forms = [
        rf"\${escaped}{end}",
        rf"[(（]{escaped}[)）]",
        rf"{begin}{escaped}(?:/USDT?|-USDT?|/BTC|USDT){end}",
        rf"{begin}{escaped}(?:'s)?\s+{_SYMBOL_CONTEXT}{end}",
    ]
    if symbol not in _AMBIGUOUS_SYMBOLS:
        forms.append(rf"{begin}{escaped}(?:s)?{end}")
    forms += _ALIASES.get(symbol.lower(), ())
    if symbol == "MATIC" or (symbol.lower() in _ALIASES and name in ("Bitcoin", "Ethereum", "Tether", "Polygon", "XRP")):
        return forms  # what follows the name decides there
    # A longer name must not count for a shorter one: Ethereum Classic is not Ethereum.
    longer = [re.escape(other.name.removeprefix(name)) for other in coins() if other.name.startswith(name + " ")]
    guard = f"(?!{'|'.join(longer)})" if longer else ""
    if name not in _AMBIGUOUS_NAMES:
        return [*forms, rf"{begin}{named}{end}{guard}"]
    forms += [rf"{begin}{named}(?:'s)?\s+(?:{_KIND}|{_ACTS}){end}", rf"{_BEFORE}\s+{named}{end}"]
    if name not in _NEVER_MOVES:
        forms.append(rf"{begin}{named}\s+{_MOVES}{end}")
    return forms


@lru_cache(maxsize=4096)
def _rarer(symbol: str, name: str) -> re.Pattern[str]:
    """A coin beyond the built-in ones. Most of their names are words, so that the text must say that it means the coin."""
    escaped, named = re.escape(symbol), re.escape(name)
    begin, end = r"(?<![A-Za-z0-9$_-])", r"(?![A-Za-z0-9_])"
    forms = [
        rf"\${escaped}{end}",
        rf"{begin}{named}\s+[(（]\$?{escaped}[)）]",
        rf"{begin}{escaped}(?:/USDT?|-USDT?|/BTC|USDT){end}",
        rf"{begin}{named}(?:'s)?\s+(?:[Tt]okens?|[Pp]rotocol|[Bb]lockchain|[Mm]emecoin|[Mm]ainnet|\(?{escaped}\b){end}",
    ]
    if len(symbol) > 2 and symbol.isalpha():
        forms += [rf"[(（]{escaped}[)）]", rf"{begin}{escaped}\s+(?:[Tt]okens?|[Pp]rice|[Hh]olders|[Mm]emecoin){end}"]
    return re.compile("|".join(forms))


def coins_named(text: str, rarer: Iterable[Sequence[str]] = ()) -> list[str]:
    """Symbols (lower case) of the coins that a text names, in order of first mention. `rarer`: (symbol, name) of coins to look for, too."""
    text = without_other_senses(text)
    found = [(match.start(), symbol) for symbol, pattern in _patterns() if (match := pattern.search(text))]
    found += [(match.start(), symbol.lower()) for symbol, name in rarer if (match := _rarer(symbol, name).search(text))]
    letters = [letter for letter in text if letter.isalpha()]
    if sum(map(str.isupper, letters)) < _SHOUTED * len(letters):
        found += [(match.start(), match[0].lower()) for match in _capitals().finditer(text)]
    return list(dict.fromkeys(symbol for _, symbol in sorted(found)))
