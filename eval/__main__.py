"""`make eval`: how well coins are found in headlines, and how well their sentiment is told,
against plain VADER.

The last line is JSON: over the half that is never looked at and, where they are present, the real
English titles.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from eval import sets
from eval.sets import Labelled
from services.normalizer.coins.tagger import coins_named
from services.normalizer.sentiment import score

CLASSES = ("negative", "neutral", "positive")
NEUTRAL = 0.05  # VADER's own bound


def precision_recall(
    items: Iterable[Labelled], *, wrong: list[str] | None = None
) -> tuple[float, float]:
    """Over all (headline, coin) pairs."""
    right = said = meant = 0
    for item in items:
        expected = set(item.label.split(",")) - {"-"}
        found = set(coins_named(item.title))
        right, said, meant = (
            right + len(found & expected),
            said + len(found),
            meant + len(expected),
        )
        if wrong is not None and found != expected:
            wrong.append(
                f"  {item.title}\n    meant {sorted(expected) or '-'}, found {sorted(found) or '-'}"
            )
    return (right / said if said else 1.0, right / meant if meant else 1.0)


def macro_f1(
    items: Iterable[Labelled],
    compound: Callable[[str], float],
    *,
    wrong: list[str] | None = None,
) -> tuple[float, float]:
    """(accuracy, mean of the F1 of the three classes)."""
    pairs = []
    for item in items:
        value = compound(item.title)
        found = (
            "positive"
            if value >= NEUTRAL
            else "negative"
            if value <= -NEUTRAL
            else "neutral"
        )
        pairs.append((item.label, found))
        if wrong is not None and found != item.label:
            wrong.append(
                f"  {item.title}\n    meant {item.label}, found {found} ({value:+.2f})"
            )
    counts = Counter(pairs)

    def f1(kind: str) -> float:
        hits = counts[kind, kind]
        said, meant = (
            sum(counts[other, kind] for other in CLASSES),
            sum(counts[kind, other] for other in CLASSES),
        )
        return 2 * hits / (said + meant) if said + meant else 1.0

    return (
        sum(counts[kind, kind] for kind in CLASSES) / len(pairs)
        if pairs
        else 1.0,
        sum(map(f1, CLASSES)) / 3,
    )


def main() -> int:
    show = "--wrong" in sys.argv
    vader = SentimentIntensityAnalyzer()

    def plain(title: str) -> float:
        compound: float = vader.polarity_scores(title)["compound"]
        return compound

    def ours(title: str) -> float:
        return score(title, "").score

    print("coins                 headlines  precision  recall")
    for name, items in _each("coins"):
        wrong: list[str] = []
        precision, recall = precision_recall(items, wrong=wrong)
        print(f"{name:<22}{len(items):>9}{precision:>11.3f}{recall:>8.3f}")
        _say(wrong, show=show and name == "own, for tuning")
    print(
        "\nsentiment             headlines  accuracy  macro-F1  plain VADER: accuracy  macro-F1"
    )
    for name, items in _each("sentiment"):
        wrong = []
        accuracy, f1 = macro_f1(items, ours, wrong=wrong)
        vader_accuracy, vader_f1 = macro_f1(items, plain)
        rivals = f"{vader_accuracy:>23.3f}{vader_f1:>10.3f}"
        print(
            f"{name:<22}{len(items):>9}{accuracy:>10.3f}{f1:>10.3f}{rivals}"
        )
        _say(wrong, show=show and name == "own, for tuning")
    precision, recall = precision_recall(
        [*sets.own("coins", "held"), *sets.real("coins", "en")]
    )
    judged = [*sets.own("sentiment", "held"), *sets.real("sentiment", "en")]
    print()
    print(
        json.dumps(
            {
                "coins": {
                    "precision": round(precision, 4),
                    "recall": round(recall, 4),
                },
                "sentiment": {
                    "macro_f1": round(macro_f1(judged, ours)[1], 4),
                    "vader_macro_f1": round(macro_f1(judged, plain)[1], 4),
                },
            }
        )
    )
    return 0


def _each(task: str) -> list[tuple[str, list[Labelled]]]:
    listed = [
        ("own, for tuning", sets.own(task, "tune")),
        ("own, untouched", sets.own(task, "held")),
        ("real titles, English", sets.real(task, "en")),
        ("real titles, Chinese", sets.real(task, "zh")),
    ]
    return [(name, items) for name, items in listed if items]


def _say(wrong: list[str], *, show: bool) -> None:
    if show and wrong:
        print("\n".join(wrong))


if __name__ == "__main__":
    sys.exit(main())
