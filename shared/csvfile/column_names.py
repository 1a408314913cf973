"""What the names of columns say: the role of a column, the coin and the currency in its name, in the exporters' languages."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache

from shared.values.symbols import ALIASES, COMMON_WORDS, FIAT, QUOTES, coin_named, glued_pair, is_known_symbol

OHLC = ("open", "high", "low", "close")
# Best first. English, then German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Turkish, Russian, Chinese, Japanese, Korean.
_ROLES: dict[str, str] = {
    "time": """
        open_time time_open opentime openat start_at starttime startat unix unixtimestamp unixtime epoch timestamp datetime dateandtime date_time
        snapped_at date time dateutc timeutc datetimeutc utc gmttime localtime day ts timeperiodstart periodstart closetime
        datum zeit zeitstempel zeitpunkt datumzeit horodatage fecha fechayhora hora data dataora dataehora dato paivamaara pvm
        tarih zaman дата время датавремя 日付 日付け 日時 日期 时间 時間 날짜 시간 일자 czas""",
    "open": """
        open openprice priceopen opening openingprice openrate o first firstprice
        eroffnung eroffn eroffnungskurs eroffnungspreis erster anfang ouverture ouv premier apertura aper precioapertura abertura abert
        opening openingskoers otwarcie oppning oppen acilis откр открытие ценаоткрытия 开盘 开盘价 開盤 始値 시가 오픈""",
    "high": """
        high highprice pricehigh highest max maximum h hi
        hoch hochst hochstkurs hochster tageshoch haut plushaut eleve maxi maximo max massimo maxima alta alto hoog hoogste najwyzszy maks hogst hogsta
        yuksek enyuksek макс максимум максимальная высокая 高 最高 最高价 高値 고가""",
    "low": """
        low lowprice pricelow lowest min minimum l lo
        tief tiefst tiefstkurs tiefster tagestief bas plusbas mini minimo minima minimo baixa baixo basso laag laagste najnizszy lagst lagsta
        dusuk endusuk мин минимум минимальная низкая 低 最低 最低价 安値 저가""",
    "close": """
        close closeprice priceclose closing closingprice closelast last lastprice lasttraded closerate c settle settlementprice endprice
        schluss schlusskurs schlusspreis zuletzt letzter cloture clot dernier derniercours fermeture cierre ultimo chiusura fechamento fech
        slot slotkoers laatste zamkniecie ostatnio senaste stangning kapanis simdi son закр закрытие ценазакрытия 收盘 收盘价 收市 終値 종가 현재가""",
    "price": """
        price rate spot value marketprice tradeprice avgprice averageprice weightedprice vwap mid midprice referencerate
        kurs preis wert prix cours precio valor prezzo preco cotacao prijs koers cena pris fiyat цена курс 价格 價格 価格 가격""",
    "volume": """
        volume vol totalvolume basevolume volumebase volumefrom volume24h 24hvolume v amount qty quantity size basevol
        volumen umsatz menge vol volumes volym wolumen wol hacim hac объем обьем 交易量 成交量 出来高 거래량""",
    "quote_volume": """
        quotevolume volumequote quoteassetvolume volumeto volumecurrency turnover quotevol volccyquote volquote amountquote volumeusdvalue""",
    "market_cap": """
        marketcap mktcap marketcapitalization marketcapitalisation cap capmrktcur mcap
        marktkapitalisierung capitalisation capitalisationboursiere capitalizacion capitalizaciondemercado capitalizzazione
        capitalizacao kapitalizacja piyasadegeri капитализация рыночнаякапитализация 市值 時価総額 시가총액""",
    "symbol": """
        symbol ticker pair tradingpair currencypair coin market instrument instrumentname instid asset cryptocurrency crypto base basecurrency token
        coinid id coinname name slug wahrung kryptowahrung paar monnaie moneda moeda waluta валюта тикер 币种 交易对 通貨 코인""",
    "currency": "currency quotecurrency quote quoteasset vscurrency counter devise",
}  # fmt: skip
# Words that may stand in the name of a column of prices and say nothing.
_NOISE = frozenset(["in", "of", "the", "denominated", "daily", "hourly", "per", "avg", "average", "mean", "spot", "to", "and", "at", "for", "exchange", "index", "chart", "utc", "crypto", "coin", "token", "historical"])  # fmt: skip
_UNDECOMPOSED = str.maketrans("ıłøđ", "ilod")
_SIGNS = {"$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₩": "krw", "₿": "btc"}
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_a-zA-Z]+")
_GLUED = re.compile(rf"(open|high|low|close|price|rate|value|volume|marketcap|capmrktcur|vol)(?:in)?({'|'.join(QUOTES)})")


@dataclass(frozen=True)
class Named:
    """What the name of a column says. `symbol` and `currency` are lower case."""

    role: str | None = None
    symbol: str | None = None
    currency: str | None = None


def key(name: str) -> str:
    """A name without case, accents and punctuation."""
    folded = unicodedata.normalize("NFKD", name.casefold()).translate(_UNDECOMPOSED)
    return "".join(letter for letter in folded if letter.isalnum())


@cache
def roles() -> dict[str, tuple[str, int]]:
    """Names of columns → role and rank within it (0 is best). The first role that lists a name has it."""
    found: dict[str, tuple[str, int]] = {}
    for role, names in _ROLES.items():
        for rank, name in enumerate(names.split()):
            found.setdefault(key(name), (role, rank))
    return found


def rank(name: str) -> int:
    return roles().get(key(name), ("", 999))[1]


@lru_cache(maxsize=4096)
def read_name(name: str) -> Named:
    """The role, the coin and the currency that a name holds; nothing where a part of it is not understood."""
    whole = key(name)
    sign = next((currency for mark, currency in _SIGNS.items() if mark in name), None)
    if whole in roles():
        return Named(roles()[whole][0], currency=sign)
    if found := _GLUED.fullmatch(whole):
        return Named(roles()[found[1]][0], currency=ALIASES.get(found[2], found[2]))
    tokens = [token for raw in _TOKEN.findall(name) if (token := key(raw))]
    if (pair := _pair_of(name.strip())) is not None:
        return Named(None, *pair)
    return _of_tokens(tokens, sign)


def _pair_of(text: str) -> tuple[str, str | None] | None:
    """A name that is a pair or a coin and nothing else: `BTC-USD`, `BTCUSDT`, `Bitcoin`, `BTC`."""
    parts = [key(part) for part in re.split(r"[/\-_: ]+", text) if part]
    if len(parts) == 2 and parts[1] in QUOTES and (is_known_symbol(parts[0]) or text.isupper()):
        return ALIASES.get(parts[0], parts[0]), ALIASES.get(parts[1], parts[1])
    whole = key(text)
    if len(parts) <= 3 and (symbol := coin_named(whole)):
        return symbol, None
    if len(parts) == 1 and whole not in FIAT:
        if (pair := glued_pair(whole)) is not None and is_known_symbol(pair.symbol):
            return pair.symbol, pair.currency.lower() if pair.currency else None
        if is_known_symbol(whole) and (text.isupper() or whole not in COMMON_WORDS):
            return ALIASES.get(whole, whole), None
    return None


def _of_tokens(tokens: list[str], sign: str | None) -> Named:
    symbol, currency, words = None, sign, []
    for token in tokens:
        if token in _NOISE:
            continue
        if token in FIAT and currency in (None, token):
            currency = token
        elif symbol is None and (found := _coin(token)):
            symbol = found
        elif currency is None and symbol is not None and ALIASES.get(token, token) in QUOTES:
            currency = ALIASES.get(token, token)
        elif symbol is None and (pair := glued_pair(token)) is not None and is_known_symbol(pair.symbol):
            symbol, currency = pair.symbol, pair.currency.lower() if pair.currency else currency
        else:
            words.append(token)
    if not words:
        return Named(None, symbol, currency) if symbol and currency else Named()
    known = roles().get("".join(words)) or (roles()[words[-1]] if all(word in roles() for word in words) else None)
    return Named(known[0], symbol, currency) if known else Named()


def _coin(token: str) -> str | None:
    """The symbol of a coin that a single word names."""
    if token in roles():
        return None
    return coin_named(token) or (ALIASES.get(token, token) if is_known_symbol(ALIASES.get(token, token)) else None)
