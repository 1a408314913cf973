"""A text as the tagger reads it: where the forms of coins stand, and what it is written in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.normalizer.coins.table import WORD, Form, Need, forms, words

_SHOUTED = 0.6  # share of capitals from which on they say nothing
_FEW_LETTERS = 4  # too few to tell
_FOREIGN = (
    0.3  # share of other scripts from which on English words are names
)
_GLUED = re.compile(r"([A-Z0-9]{3,8}?)(?:USDT|USDC|USD|PERP)")
_DOMAIN = re.compile(r"\.[a-z]{2,}")
# Prices are in these; a price is no mention of its currency.
_QUOTES = frozenset({"usdt", "usdc", "busd", "fdusd"})
_PRICE = re.compile(
    r"(?:below|above|over|under|surpass(?:es)?|to|at|跌破|突破)\s?[\d.,]+\s?$",
    re.IGNORECASE,
)
_BEFORE_A_PRICE = 24  # characters that are looked at
_OTHER_LETTERS = re.compile(r"[А-Яа-яЁёІіЇїЄєҐґ가-힣ぁ-ヺ一-鿿]")
_CRYPTO = re.compile(
    r"\b(?:crypto\w*|blockchains?|tokens?|altcoins?|stablecoins?|memecoins?|DeFi|on-?chain|NFTs?"
    r"|cripto\w*|krypto\w*|web3|mainnet|staking|airdrops?|layer[- ]?[12]|DEX|TVL|DAO)\b"
    r"|코인|토큰|암호화폐|가상화폐|가상자산|仮想通貨|暗号資産|トークン|加密|代币|代幣|крипто",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mention:
    """A place where a form stands, which may mean the coin."""

    start: int
    end: int
    form: Form


@dataclass
class Reading:
    """A text and what is known of it. `sure`: mentions that mean the coin."""

    text: str
    is_shouted: bool
    is_other_script: bool
    is_other_language: bool
    sure: list[Mention] = field(default_factory=list)
    unsure: list[Mention] = field(default_factory=list)

    def is_about_coins(self) -> bool:
        return bool(self.sure) or says_crypto(self.text)


def read(text: str) -> tuple[Reading, list[Mention]]:
    """(the text with what is known of it, its mentions)."""
    mentions = [
        mention
        for mention in _mentions(text)
        if not _is_quote(mention, text)
    ]
    reading = Reading(
        text,
        is_shouted=_is_shouted(text, mentions),
        is_other_script=_is_other_script(text),
        is_other_language=_is_other_language(text),
    )
    return reading, mentions


def says_crypto(text: str) -> bool:
    """Whether a word of the field stands in a text."""
    return _CRYPTO.search(text) is not None


def _mentions(text: str) -> Iterator[Mention]:
    known = forms()
    end = 0
    for word in WORD.finditer(text):
        if word.start() < end:
            continue
        listed = known.get(word[0].lower(), ())
        mention = _longest(text, word.start(), listed)
        if mention is None and not listed:
            mention = _glued(word[0], word.start())
        if mention is not None:
            end = mention.end
            yield mention


def _longest(
    text: str, start: int, listed: Sequence[Form]
) -> Mention | None:
    for form in listed:
        end = start + len(form.text)
        if _is_written(form, text[start:end]) and _is_whole(
            text, start, end
        ):
            return Mention(start, end, form)
    return None


def _is_written(form: Form, written: str) -> bool:
    """A symbol stands as it is; a name in any case."""
    if written == form.text:
        return True
    return not form.is_symbol and written.lower() == form.text.lower()


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether no Latin letter, digit or underscore touches it, and it is no part of an address."""
    before = text[start - 1 : start]
    after = text[end : end + 1]
    if WORD.match(after) or "_" in (before, after):
        return False
    if before == "." and text[start - 2 : start - 1].isalnum():
        return False
    return after != "." or _DOMAIN.match(text, end) is None


def _glued(word: str, start: int) -> Mention | None:
    """`BTCUSDT`: a pair written as one word."""
    pair = _GLUED.fullmatch(word)
    if pair is None:
        return None
    for form in forms().get(pair[1].lower(), ()):
        if form.is_symbol:
            sure = Form(form.symbol, word, Need.SURE, is_symbol=True)
            return Mention(start, start + len(word), sure)
    return None


def _is_quote(mention: Mention, text: str) -> bool:
    """`ETH/USDT`, `above 90,000 USDT`: what a price is in."""
    start = mention.start
    if mention.form.symbol not in _QUOTES:
        return False
    if text[start - 1 : start] == "/":
        return True
    before = text[max(0, start - _BEFORE_A_PRICE) : start]
    return _PRICE.search(before) is not None


def _is_shouted(text: str, mentions: list[Mention]) -> bool:
    """Whether what is no mention is in capitals, so that capitals say nothing."""
    others = []
    end = 0
    for mention in mentions:
        others.append(text[end : mention.start])
        end = mention.end
    others.append(text[end:])
    letters = list(filter(str.isalpha, "".join(others)))
    if len(letters) < _FEW_LETTERS:
        return False
    return sum(map(str.isupper, letters)) >= _SHOUTED * len(letters)


def _is_other_script(text: str) -> bool:
    """Whether an English word in it is a name, since the text is in another script."""
    if text.isascii():
        return False
    others = len(_OTHER_LETTERS.findall(text))
    return others > _FOREIGN * sum(map(str.isalpha, text))


def _is_other_language(text: str) -> bool:
    """Whether it is Spanish, Portuguese, French, German or Italian, by its small words."""
    return len(words("other_language").intersection(text.split())) > 1
