"""The language of a headline: by its letters, and by frequent words where those are Latin."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from services.normalizer.sentiment.lexicon import (
    ENGLISH,
    tables,
    words_of,
)
from shared.values.words import grouped

_FREQUENT = Path(__file__).with_name("languages.tsv")
_KANA = re.compile("[\u3040-\u30ff]")
_SCRIPTS = {
    "ja": re.compile("[\u3040-\u30ff\u4e00-\u9fff]"),
    "ko": re.compile("[\uac00-\ud7a3]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "ru": re.compile("[а-яё]", re.IGNORECASE),
}
# Those of Latin letters whose words are known too.
_LATIN = ("de", "es", "pt", "fr")
_FEW = 2  # letters or words of a language
_MOST = 0.9  # of all letters
_OWN_BESIDE_LATIN = 4  # names of firms and coins stay in Latin letters


def language_of(text: str) -> str | None:
    """The code of a language that is understood; None of one that is not."""
    letters = list(filter(str.isalpha, text))
    latin = sum(map(_is_latin, letters))
    if latin == len(letters):
        return _by_words(text)
    for language, own in _SCRIPTS.items():
        count = len(own.findall(text))
        if _is_mostly(count, latin, len(letters)) and (
            language != "ja" or _KANA.search(text)
        ):
            return language
    return _by_words(text) if latin > _MOST * len(letters) else None


def _is_latin(letter: str) -> bool:
    return letter < "\u0250" or "\u1e00" <= letter < "\u1f00"


def _is_mostly(own: int, latin: int, letters: int) -> bool:
    """Whether a text is in a script, but for names."""
    is_whole = own + latin >= _MOST * letters
    return own >= _FEW and is_whole and own * _OWN_BESIDE_LATIN >= latin


def _by_words(text: str) -> str | None:
    words = set(words_of(text))
    hits = {
        language: len(words & own)
        for language, own in _frequent().items()
    }
    for language in _LATIN:
        hits[language] += sum(_is_known(word, language) for word in words)
    best = max(
        hits, key=lambda language: (hits[language], language == ENGLISH)
    )
    if hits[best] < _FEW or hits[best] <= hits[ENGLISH]:
        return ENGLISH
    return best if best in tables() else None


def _is_known(word: str, language: str) -> bool:
    """Whether the tables know a word in this language, and not in English."""
    if word in tables()[ENGLISH].exact:
        return False
    return any(tables()[language].entries_for(word))


@cache
def _frequent() -> dict[str, frozenset[str]]:
    named = grouped(_FREQUENT)
    return {
        language: frozenset(words) for language, words in named.items()
    }
