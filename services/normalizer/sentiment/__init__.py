"""Sentiment of headlines: VADER with the project's own crypto lexicon. Each score names the words behind it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

LEXICON_VERSION = 1
_TITLE_WEIGHT = 0.7


@dataclass(frozen=True)
class Sentiment:
    """`score` in −1 … 1; `words` are the scored words of title and summary with their weights in the lexicon (−4 … 4)."""

    score: float
    words: dict[str, float]

    def explained(self) -> dict[str, Any]:
        return {"words": self.words, "lexicon": LEXICON_VERSION}


@cache
def _analyzer() -> SentimentIntensityAnalyzer:
    analyzer = SentimentIntensityAnalyzer()
    for line in Path(__file__).with_name("lexicon.tsv").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            word, weight = line.split("\t")
            analyzer.lexicon[word] = float(weight)
    return analyzer


def score(title: str, summary: str) -> Sentiment:
    """The title weighs more than the summary, since summaries are often boilerplate."""
    analyzer = _analyzer()
    of_title = analyzer.polarity_scores(title)["compound"] if title else 0.0
    of_summary = analyzer.polarity_scores(summary)["compound"] if summary else 0.0
    total = _TITLE_WEIGHT * of_title + (1 - _TITLE_WEIGHT) * of_summary if title and summary else of_title or of_summary
    words = {word: analyzer.lexicon[word] for word in _words(f"{title} {summary}") if word in analyzer.lexicon}
    return Sentiment(round(total, 4), dict(list(words.items())[:20]))


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip(".,:;!?\"'()[]“”‘’$%").lower() for word in text.split()))
