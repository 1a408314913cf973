"""Names of coins in Hangul, kana, Cyrillic and Han, where words have endings or no spaces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from services.normalizer.coins.table import HERE
from shared.values.words import lines

_CYRILLIC = re.compile(r"[А-Яа-яЁёІіЇїЄєҐґ]")
_PARTICLE = re.compile(
    r"(?=(?:이|가|은|는|을|를|의|에|와|과|도|로|측|만|까지|보다|부터|코인|토큰|값|가격|시세|현물)"
    r"|[^가-힣]|$)"
)
_LONG_STEM = 6  # letters from which on a Russian stem may have any ending
_NOUN_ENDING = re.compile(
    r"(?:а|у|ом|е|ы|и|ов|ам|ами|ах|ой|я|ю|ем)?(?![А-Яа-яЁёІіЇїЄєҐґ])"
)
_ANY_ENDING = re.compile(r"[а-яії]{0,4}(?![А-Яа-яЁёІіЇїЄєҐґ])")
_ANY_LENGTH = 99
_WORD_BESIDES = "?"


@dataclass(frozen=True)
class Rules:
    """How names are told from parts of longer words.

    `short`: up to this length a name must not touch other letters; `ending`: what may follow it.
    """

    letters: re.Pattern[str]
    short: int
    ending: re.Pattern[str]


_RULES = {
    "ko": Rules(re.compile(r"[가-힣]"), 3, _PARTICLE),
    "ja": Rules(
        re.compile(r"[ァ-ヺー]"), 4, re.compile(r"(?![ァ-ヺー])|コイン")
    ),
    "ru": Rules(_CYRILLIC, _ANY_LENGTH, _ANY_ENDING),
    "zh": Rules(re.compile(r"[一-鿿]"), 0, re.compile("")),
}


@dataclass(frozen=True)
class Script:
    """The names in one script. `words`: names that are words besides."""

    rules: Rules
    names: re.Pattern[str]
    symbols: dict[str, str]
    words: frozenset[str]


@cache
def _scripts() -> tuple[Script, ...]:
    return tuple(_script(name, rules) for name, rules in _RULES.items())


def _script(script: str, rules: Rules) -> Script:
    symbols: dict[str, str] = {}
    words = set()
    for symbol, written in _listed(script):
        name = written.removesuffix(_WORD_BESIDES).lower()
        symbols[name] = symbol.lower()
        if written.endswith(_WORD_BESIDES):
            words.add(name)
    longest_first = sorted(symbols, key=len, reverse=True)
    alternatives = "|".join(map(re.escape, longest_first))
    names = re.compile(alternatives, re.IGNORECASE)
    return Script(rules, names, symbols, frozenset(words))


def _listed(wanted: str) -> Iterator[tuple[str, str]]:
    """(symbol, name) of each name in a script."""
    for line in lines(HERE / "scripts.tsv"):
        script, symbol, names = line.split("\t")
        if script == wanted:
            for name in names.split("|"):
                yield symbol, name


def named_in_other_scripts(
    text: str, *, is_about_coins: bool
) -> list[tuple[int, str]]:
    """(place, symbol) of names in other scripts.

    Such as are words besides count only in a text that is about coins.
    """
    if text.isascii():
        return []
    sure: list[tuple[int, str]] = []
    words: list[tuple[int, str]] = []
    for script in _scripts():
        for match in _names_in(text, script):
            name = match[0].lower()
            found = words if name in script.words else sure
            found.append((match.start(), script.symbols[name]))
    return sure + words if sure or is_about_coins else []


def _names_in(text: str, script: Script) -> Iterator[re.Match[str]]:
    if script.rules.letters.search(text) is None:
        return
    for match in script.names.finditer(text):
        if _is_whole(match, script.rules, text):
            yield match


def _is_whole(match: re.Match[str], rules: Rules, text: str) -> bool:
    size = len(match[0])
    if size > rules.short:
        return True
    before = text[match.start() - 1 : match.start()]
    if rules.letters.match(before):
        return False
    ending = rules.ending
    if rules.letters is _CYRILLIC and size < _LONG_STEM:
        ending = _NOUN_ENDING
    return ending.match(text, match.end()) is not None
