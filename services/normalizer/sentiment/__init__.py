"""Sentiment of headlines: VADER with the project's own crypto lexicon and its rules for phrases. Each score names the words behind it.

`phrases.tsv` knows what words together mean (`recovers funds after hack`): a phrase that fits counts with its own weight,
and its words no longer. Questions and explainers state nothing, so their words count little.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

LEXICON_VERSION = 2
_TITLE_WEIGHT = 0.7
_QUESTION = re.compile(r"^(?:what|why|how|is|are|can|could|will|would|should|does|do|did|has|have|who|when|where|which)\b.*\?|^(?:how to|what is|what are|explained|explainer|guide|here'?s (?:how|what|why)|everything)\b|\b(?:explained|explainer|101|a guide|beginner'?s guide|primer|interview|q&a|podcast|letter from|little changed|unchanged|is expected (?:in|on|by|around)|scheduled (?:for|to)|slated (?:for|to)|calendar|recap|timeline|by the numbers|co-founder on|ceo on)\b", re.IGNORECASE)  # fmt: skip
_OF_A_QUESTION = 0.0


@dataclass(frozen=True)
class Sentiment:
    """`score` in −1 … 1; `words` are the words and phrases that count, with their weights (−4 … 4)."""

    score: float
    words: dict[str, float]

    def explained(self) -> dict[str, Any]:
        return {"words": self.words, "lexicon": LEXICON_VERSION}


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    analyzer = SentimentIntensityAnalyzer()
    for weight, word in _lines("lexicon.tsv", weight_first=False):
        analyzer.lexicon[word] = weight
    for number, (weight, _) in enumerate(_phrases()):
        analyzer.lexicon[_token(number)] = weight
    return analyzer


@cache
def _phrases() -> list[tuple[float, re.Pattern[str]]]:
    return [(weight, re.compile(pattern, re.IGNORECASE)) for weight, pattern in _lines("phrases.tsv", weight_first=True)]


def _lines(name: str, *, weight_first: bool) -> list[tuple[float, str]]:
    found = []
    for line in Path(__file__).with_name(name).read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            first, second = line.split("\t")
            found.append((float(first), second) if weight_first else (float(second), first))
    return found


def _token(number: int) -> str:
    """A word that stands for a phrase, and for nothing else."""
    return f"zzphrase{number}zz"


def score(title: str, summary: str) -> Sentiment:
    """The title weighs more than the summary, since summaries are often boilerplate."""
    of_title, words = _scored(title)
    of_summary, more = _scored(summary)
    total = _TITLE_WEIGHT * of_title + (1 - _TITLE_WEIGHT) * of_summary if title and summary else of_title or of_summary
    return Sentiment(round(total, 4), dict(list({**more, **words}.items())[:20]))


def _scored(text: str) -> tuple[float, dict[str, float]]:
    """(compound, what counts in it)."""
    if not text:
        return 0.0, {}
    words: dict[str, float] = {}
    for number, (weight, pattern) in enumerate(_phrases()):
        if found := pattern.search(text):
            words[found[0].lower()[:80]] = weight
            text = f"{text[: found.start()]} {_token(number)} {text[found.end() :]}"
    analyzer = _analyzer()
    words |= {word: analyzer.lexicon[word] for word in _words(text) if word in analyzer.lexicon and not word.startswith("zzphrase")}
    compound = float(analyzer.polarity_scores(text)["compound"])
    return (compound * _OF_A_QUESTION if _QUESTION.search(text) else compound), words


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip(".,:;!?\"'()[]“”‘’$%").lower() for word in text.split()))
