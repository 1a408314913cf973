"""Precision and recall of coins, macro-F1 of sentiment, and how far a figure can be trusted."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from eval.sets import Labelled
from services.normalizer.coins.tagger import coins_named

CLASSES = ("negative", "neutral", "positive")
NEUTRAL = 0.05  # VADER's own bound
RESAMPLED = 500
SEED = 20261126
Score = Callable[[str], float | None]


class Found(NamedTuple):
    """Pairs of headline and coin: right, said, meant."""

    right: int
    said: int
    meant: int

    @property
    def precision(self) -> float:
        return self.right / self.said if self.said else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.meant if self.meant else 1.0


def coins_of(
    items: Sequence[Labelled], wrong: list[str] | None = None
) -> Found:
    """Over all (headline, coin) pairs. An optional coin is neither right nor wrong."""
    right = said = meant = 0
    for item in items:
        found = set(coins_named(item.title)) - item.optional()
        hits, missed, extra = item.compared(found)
        right += hits
        said += hits + len(extra)
        meant += hits + missed
        if wrong is not None and (missed or extra):
            shown = ", ".join(sorted(found)) or "-"
            wrong.append(
                f"  {item.title}\n    meant {item.label}, found {shown}"
            )
    return Found(right, said, meant)


def classified(value: float | None) -> str:
    """The class of a score; a language that is not understood says nothing."""
    if value is None or abs(value) < NEUTRAL:
        return "neutral"
    return "positive" if value > 0 else "negative"


def macro_f1(
    items: Sequence[Labelled],
    score: Score,
    wrong: list[str] | None = None,
) -> tuple[float, float]:
    """(accuracy, mean of the F1 of the three classes)."""
    pairs = []
    for item in items:
        value = score(item.title)
        found = classified(value)
        pairs.append((item.label, found))
        if wrong is not None and found != item.label:
            wrong.append(
                f"  {item.title}\n    meant {item.label}, found {found} ({value})"
            )
    return _accuracy(pairs), _mean_f1(pairs)


def interval_of(items: Sequence[Labelled], score: Score) -> str:
    """In which 95 of 100 samples of as many headlines have their macro-F1."""
    pairs = [
        (item.label, classified(score(item.title))) for item in items
    ]
    chance = random.Random(SEED)
    found = sorted(
        _mean_f1(chance.choices(pairs, k=len(pairs)))
        for _ in range(RESAMPLED)
    )
    low = found[int(0.025 * RESAMPLED)]
    high = found[int(0.975 * RESAMPLED)]
    return f"{low:.2f} to {high:.2f}"


def _accuracy(pairs: Sequence[tuple[str, str]]) -> float:
    right = sum(label == found for label, found in pairs)
    return right / len(pairs) if pairs else 1.0


def _mean_f1(pairs: Sequence[tuple[str, str]]) -> float:
    counts = Counter(pairs)
    return sum(_f1(counts, kind) for kind in CLASSES) / len(CLASSES)


def _f1(counts: Counter[tuple[str, str]], kind: str) -> float:
    hits = counts[kind, kind]
    said = sum(counts[other, kind] for other in CLASSES)
    meant = sum(counts[kind, other] for other in CLASSES)
    return 2 * hits / (said + meant) if said + meant else 1.0
