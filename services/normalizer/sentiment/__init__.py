"""Sentiment of headlines, for holders of the coin or of crypto at large, by words.

A score names the words behind it. What comes first counts most; what led to the news counts less.
Questions, guides, forecasts and lists (`neutral.txt`) say nothing, so they are 0. Of a language
that is not understood nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from services.normalizer.sentiment.language import language_of
from services.normalizer.sentiment.lexicon import (
    ENGLISH,
    LED_TO,
    entries_in,
)
from shared.values.words import patterns

LEXICON_VERSION = 4
MAX_WORDS = 20  # of an explanation
FLOOR = 0.6  # a sum below it is nothing
HALF = 4.0  # the sum that scores 0.5
LATER = 0.6  # what each next word counts of the one before
BACKGROUND = 0.5  # what counts of a word after `despite` and the like
NEGATED = -0.6  # what counts of a word after `not` and the like
NEAR = 3  # words
_HERE = Path(__file__).parent
_SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"')]*\s+|(?<=[。！？])|\s?[;|]\s?|\s[–—-]\s|[–—]|:\s"
)
_QUESTION = re.compile(r"[?？][\"')\s]*$")
_LED_CLAUSE = re.compile(
    r"(?:even )?(?:despite|after|amid|amidst|following|in spite of)\b[^,]{1,80}, ",
    re.IGNORECASE,
)
_NOT = frozenset(
    "not no never without isn't aren't wasn't won't can't cannot doesn't don't didn't nor "
    "neither hardly barely не без nicht kein keine ohne não nunca sem sin pas".split()
)
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'"})


@dataclass(frozen=True)
class Sentiment:
    """`score` in −1 … 1, None where the language is not understood; `words`: what counts."""

    score: float | None
    words: dict[str, float]

    def explained(self) -> dict[str, Any]:
        return {"words": self.words, "lexicon": LEXICON_VERSION}


NOT_UNDERSTOOD = Sentiment(None, {})
NEUTRAL = Sentiment(0.0, {})


def score(title: str, summary: str) -> Sentiment:
    """Of the title; of the summary only where there is none: it tips titles that say nothing."""
    text = title or summary
    language = language_of(text)
    if language is None:
        return NOT_UNDERSTOOD
    if language == ENGLISH:
        text = _without_labels(text)
        if _says_nothing(text):
            return NEUTRAL
    return _summed(list(_values(text, language)))


def _summed(values: list[tuple[str, float]]) -> Sentiment:
    total = sum(value for _, value in values)
    counted = {words: round(value, 2) for words, value in values}
    shown = dict(list(counted.items())[:MAX_WORDS])
    if abs(total) < FLOOR:
        return Sentiment(0.0, shown)
    return Sentiment(round(total / (abs(total) + HALF), 4), shown)


def _without_labels(title: str) -> str:
    """Without what its beginning calls it: `Price analysis: `."""
    text = title.translate(_APOSTROPHES)
    for label in _patterns("labels.txt"):
        text = label.sub("", text)
    return text


def _says_nothing(text: str) -> bool:
    stated = ". ".join(_statements(text))
    neutral = _patterns("neutral.txt")
    return any(pattern.search(stated) for pattern in neutral)


def _statements(text: str) -> Iterator[str]:
    """Its sentences that are no questions."""
    for sentence in _SENTENCE_END.split(text):
        if sentence and not _QUESTION.search(sentence):
            yield from _main_clause_first(sentence)


def _main_clause_first(sentence: str) -> Iterator[str]:
    """`Despite the crackdown, volumes surge`: what led to it comes last."""
    led = _LED_CLAUSE.match(sentence)
    if led is not None:
        yield sentence[led.end() :]
        yield led[0]
    else:
        yield sentence


@cache
def _patterns(name: str) -> list[re.Pattern[str]]:
    found = patterns(_HERE / name)
    return [re.compile(text, re.IGNORECASE) for text in found]


def _values(text: str, language: str) -> Iterator[tuple[str, float]]:
    """(words, what they count) in their order."""
    weight = 1.0
    for sentence in _statements(text):
        for words, value in _values_in(sentence, language):
            yield words, value * weight
            weight *= LATER


def _values_in(
    sentence: str, language: str
) -> Iterator[tuple[str, float]]:
    background = 1.0
    last = 0
    words, found = entries_in(sentence, language)
    for entry in found:
        if LED_TO.intersection(words[last : entry.start]):
            background = BACKGROUND
        value = entry.weight * background
        if _is_negated(words, entry.start):
            value *= NEGATED
        yield " ".join(words[entry.start : entry.end]), value
        last = entry.end


def _is_negated(words: list[str], place: int) -> bool:
    near = words[max(0, place - NEAR) : place]
    return not _NOT.isdisjoint(near)
