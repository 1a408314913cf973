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

from services.normalizer.sentiment.frames import PLAIN, STRONG, frames, words

LEXICON_VERSION = 3
_TITLE_WEIGHT = 0.7
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)\w*\.?"
_DAY = rf"(?:{_MONTH} \d{{1,2}}|\d{{1,2}} {_MONTH}|(?:mon|tues|wednes|thurs|fri|satur|sun)day|this week|next (?:week|month|year)|tomorrow|q[1-4])"
# Headlines that state nothing good or bad, whatever their words: questions, explainers, lists, schedules, appointments, readings.
_STATES_NOTHING = [re.compile(pattern, re.IGNORECASE) for pattern in (
    r"^(?:what|why|how|is|are|can|could|will|would|should|does|do|did|has|have|who|when|where|which)\b.*\?",
    r"^(?:how (?:to|does|do|the|a|an|\w+ (?:work|count|draw|is|are|losses)s?)|what (?:is|are|the|a|to|does|we)|who (?:is|are)|where|when|which|inside|meet|explained|explainer|guide|everything|understanding|anatomy|setting up|a (?:short|brief|field) |quiz|poll|crash course|opinion: we|here'?s (?:how|what|why))\b",
    r"^(?:the )?(?:top |best )?(?:\d+|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|a dozen) (?:\w+ ){0,3}(?:ways|things|questions|terms|habits|lessons|facts|charts|reasons|coins|tokens|books|podcasts|myths|mistakes|steps|tips|stocks|exchanges|blockchains|wallets|projects)\b(?!.*\b(?:hit|lost|hacked|delist\w*|removed)\b)",
    r"[:,–—-] (?:an? |the |your )?(?:\w+ )?(?:look|walkthrough|guide|primer|basics|explainer|explanation|overview|introduction|intro|glossary|history|timeline|recap|snapshot|comparison|checklist|tutorial|interview|q&a|podcast|summary|roundup|calendar|preview|faq|numbers behind|story so far|difference|latest table|questions)\b",
    r"[:–—] (?:what|how|why|who|which|where|when)\b",
    r"\b(?:ranked|compared|explained|decoded|defined|demystified|illustrated|in numbers|by the numbers|in charts|in pictures|in one chart|at a glance|side by side|step by step|for beginners|(?:a )?beginner'?s|primer|101|look back|in history|how (?:it|they|these|this) works?|how they differ|letter from|little changed|unchanged|the basics|meeting notes|documentary|podcast|novel|museum|exhibition|reading list|slang|family tree|redesign|tells (?:his|her|their) story|premieres?|fireside chat|to publish|to release|in (?:two|three|five|ten|\d+) minutes|by (?:date|year)|glossary|a play|whitepaper|webinar|hackathon|co-founder on|ceo on|what's new)\b",
    rf"\b(?:set|sets|scheduled|slated|expected|due|moved|planned|begins?|starts?|ends?|closes?|opens?|votes?|vote|referendum|hearing|meeting|event|deadline|conference|call|comments?|summit|trial|sentencing|talk|keynote|earnings|expiry|halving|upgrade|fork)\b(?: \S+){{0,6}} (?:on|for|in|by|until|to|around|from|at|till|of|ahead of|before)? ?(?:early |late |mid-)?{_DAY}",
    r"\b(?:appoints?|names?|names? new|hires? (?!\d)|promotes?|elects?|taps|picks|joins?|gets? new)\b.{0,60}\b(?:chief|head|ceo|cfo|coo|cto|chair\w*|president|director|lead|officer|counsel|partner|manager|adviser|advisor|board|practice|firm|name|ticker|logo|mascot)\b",
    r"\b(?:renames? itself|rebrands?|holds? steady|stands? at|sits? at|is at|hovers?|holds? (?:near|at|around)|steady (?:at|near|around)|flat (?:at|on)|same as|in line with|as (?:it|they) did|unchanged|trades? (?:flat|sideways|near|around)|little changed|average[sd]?)\b",
)]  # fmt: skip
# What led to the news, or was no hindrance to it, does not say what it is: `coin rallies after hack`.
_BACKGROUND = re.compile(r",? (?:after|despite|amid|following|since|in the wake of|in spite of|even as|as fears of)\b.*", re.IGNORECASE)
_DESPITE = re.compile(r"^(?:despite|even after|in spite of|after|following|amid)\b[^,]*, ", re.IGNORECASE)


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
    for form, word in words().items():
        analyzer.lexicon[form] = word.weight
    for weight in {*(weight for weight, _ in _phrases()), STRONG, -STRONG, PLAIN, -PLAIN}:
        analyzer.lexicon[_token(weight)] = weight
    return analyzer


@cache
def _phrases() -> list[tuple[float, re.Pattern[str]]]:
    lines = [
        line.split("\t") for line in Path(__file__).with_name("phrases.tsv").read_text("utf-8").splitlines() if line and line[0] != "#"
    ]
    return [(float(weight), re.compile(pattern, re.IGNORECASE)) for weight, pattern in lines]


def _token(weight: float) -> str:
    """A word that stands for a phrase of this weight, and for nothing else."""
    return f"zz{'minus' if weight < 0 else 'plus'}{abs(weight) * 10:.0f}zz"


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
    title, counted = text, dict[str, float]()
    for weight, pattern in _phrases():
        if found := pattern.search(text):
            counted[found[0].lower()[:80]] = weight
            text = f"{text[: found.start()]}\n{_token(weight)}\n{text[found.end() :]}"  # no other phrase reaches over a line
    for frame in reversed(frames(text)):
        counted[text[frame.start : frame.end].lower()[:80]] = frame.weight
        text = f"{text[: frame.start]} {_token(frame.weight)} {text[frame.end :]}"
    if any(pattern.search(title) for pattern in _STATES_NOTHING):
        return 0.0, counted
    compound = _compound(_BACKGROUND.sub("", _DESPITE.sub("", text))) or _compound(text)
    lexicon = _analyzer().lexicon
    counted |= {word: lexicon[word] for word in _words(text) if lexicon.get(word) and not word.startswith("zz")}
    return compound, counted


def _compound(text: str) -> float:
    return float(_analyzer().polarity_scores(text)["compound"])


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip(".,:;!?\"'()[]“”‘’$%").lower() for word in text.split()))
