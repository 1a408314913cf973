"""Sentiment of headlines: VADER with the project's own crypto lexicon and rules for phrases.

Each score names the words behind it. `phrases.tsv` knows what words together mean (`recovers funds
after hack`): a phrase that fits counts with its own weight, and its words no longer. Questions and
explainers (`states_nothing.txt`) state nothing, so they are 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from services.normalizer.sentiment.frames import (
    PLAIN,
    STRONG,
    frames,
    words,
)
from shared.values.words import lines

LEXICON_VERSION = 3
MAX_WORDS = 20  # of an explanation
MAX_PHRASE = 80  # characters
_TITLE_WEIGHT = 0.7
_HERE = Path(__file__).parent
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)\w*\.?"
_DAY = (
    rf"(?:{_MONTH} \d{{1,2}}|\d{{1,2}} {_MONTH}|(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|this week|next (?:week|month|year)|tomorrow|q[1-4])"
)
# What led to the news, or did not hinder it, does not say what it is: `coin rallies after hack`.
_BACKGROUND = re.compile(
    r",? (?:after|despite|amid|following|since|in the wake of|in spite of|even as|as fears of)\b.*",
    re.IGNORECASE,
)
_DESPITE = re.compile(
    r"^(?:despite|even after|in spite of|after|following|amid)\b[^,]*, ",
    re.IGNORECASE,
)
_MARKS = ".,:;!?\"'()[]“”‘’$%"
_STAND_IN = "zz"  # begins and ends the words that stand for phrases


@dataclass(frozen=True)
class Sentiment:
    """`score` in −1 … 1; `words`: what counts, with its weights (−4 … 4)."""

    score: float
    words: dict[str, float]

    def explained(self) -> dict[str, Any]:
        return {"words": self.words, "lexicon": LEXICON_VERSION}


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    analyzer = SentimentIntensityAnalyzer()
    for form, word in words().items():
        analyzer.lexicon[form] = word.weight
    weights = {weight for weight, _ in _phrases()}
    for weight in weights | {STRONG, -STRONG, PLAIN, -PLAIN}:
        analyzer.lexicon[_token(weight)] = weight
    return analyzer


@cache
def _phrases() -> list[tuple[float, re.Pattern[str]]]:
    found = []
    for line in lines(_HERE / "phrases.tsv"):
        weight, pattern = line.split("\t")
        found.append((float(weight), re.compile(pattern, re.IGNORECASE)))
    return found


@cache
def _states_nothing() -> list[re.Pattern[str]]:
    patterns: list[str] = []
    for line in lines(_HERE / "states_nothing.txt"):
        if line.startswith("|"):
            patterns[-1] += line
        else:
            patterns.append(line)
    return [
        re.compile(pattern.replace("{day}", _DAY), re.IGNORECASE)
        for pattern in patterns
    ]


def _token(weight: float) -> str:
    """A word that stands for a phrase of this weight, and for nothing else."""
    sign = "minus" if weight < 0 else "plus"
    return f"{_STAND_IN}{sign}{abs(weight) * 10:.0f}{_STAND_IN}"


def score(title: str, summary: str) -> Sentiment:
    """The title weighs more than the summary, since summaries are often boilerplate."""
    of_title, words_of_title = _scored(title)
    of_summary, words_of_summary = _scored(summary)
    total = of_title or of_summary
    if title and summary:
        total = _TITLE_WEIGHT * of_title + (1 - _TITLE_WEIGHT) * of_summary
    counted = {**words_of_summary, **words_of_title}
    return Sentiment(
        round(total, 4), dict(list(counted.items())[:MAX_WORDS])
    )


def _scored(text: str) -> tuple[float, dict[str, float]]:
    """(compound, what counts in it)."""
    if not text:
        return 0.0, {}
    marked, counted = _with_stand_ins(text)
    if any(pattern.search(text) for pattern in _states_nothing()):
        return 0.0, counted
    compound = _compound(
        _BACKGROUND.sub("", _DESPITE.sub("", marked))
    ) or _compound(marked)
    lexicon = _analyzer().lexicon
    for word in _words(marked):
        if lexicon.get(word) and not word.startswith(_STAND_IN):
            counted[word] = lexicon[word]
    return compound, counted


def _with_stand_ins(text: str) -> tuple[str, dict[str, float]]:
    """The text with a word of its weight in place of each phrase and frame, and these."""
    counted: dict[str, float] = {}
    for weight, pattern in _phrases():
        found = pattern.search(text)
        if found is not None:
            counted[found[0].lower()[:MAX_PHRASE]] = weight
            # No other phrase reaches over a line.
            text = f"{text[: found.start()]}\n{_token(weight)}\n{text[found.end() :]}"
    for frame in reversed(frames(text)):
        counted[text[frame.start : frame.end].lower()[:MAX_PHRASE]] = (
            frame.weight
        )
        text = f"{text[: frame.start]} {_token(frame.weight)} {text[frame.end :]}"
    return text, counted


def _compound(text: str) -> float:
    return float(_analyzer().polarity_scores(text)["compound"])


def _words(text: str) -> list[str]:
    return list(
        dict.fromkeys(word.strip(_MARKS).lower() for word in text.split())
    )
