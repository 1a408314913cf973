"""`make eval`: how well coins are found in headlines, and how well their sentiment is told,
against plain VADER.

Real titles first: they decide. The last line is JSON, over the English ones; where they are absent
it says so, and what follows is no judgement.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import NamedTuple

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from eval import sets
from eval.metrics import coins_of, interval_of, macro_f1
from eval.sets import FOLDS, Labelled
from services.normalizer.sentiment import score

ABSENT = (
    "the real titles that decide (../shared/realdata/news) are absent: what follows is measured on "
    "headlines of the project’s own making, which say little about real ones"
)
_vader = SentimentIntensityAnalyzer()


class Set(NamedTuple):
    name: str
    items: list[Labelled]
    is_shown: bool = False  # with --wrong


def plain(title: str) -> float:
    return float(_vader.polarity_scores(title)["compound"])


def ours(title: str) -> float | None:
    return score(title, "").score


def main() -> int:
    show = "--wrong" in sys.argv
    if not sets.TITLES.is_file():
        print(f"{ABSENT}\n")
    print("coins                       headlines  precision  recall")
    for each in _sets("coins"):
        _print_coins(each, show=show)
    print(
        "\nsentiment                   headlines  accuracy  macro-F1  95 %          "
        "plain VADER: accuracy  macro-F1"
    )
    for each in _sets("sentiment"):
        _print_sentiment(each, show=show)
    print(f"\n{json.dumps(_judged())}")
    return 0


def _sets(task: str) -> Iterator[Set]:
    english = sets.titles(task, is_english=True)
    others = sets.titles(task, is_english=False)
    listed = [
        Set("real titles, English", english, is_shown=True),
        *_folds(english),
        Set("real titles, others", others, is_shown=True),
        Set("feeds, English", sets.of_feeds(task, "en")),
        Set("feeds, Chinese", sets.of_feeds(task, "zh")),
        Set("own, for tuning", sets.own(task, "tune"), is_shown=True),
        Set("own, the other half", sets.own(task, "held")),
    ]
    return filter(lambda each: each.items, listed)


def _folds(items: list[Labelled]) -> Iterator[Set]:
    for number in range(FOLDS):
        of_fold = [item for item in items if item.fold == number]
        yield Set(f"  fold {number + 1} of {FOLDS}", of_fold)


def _print_coins(each: Set, *, show: bool) -> None:
    wrong: list[str] = []
    found = coins_of(each.items, wrong)
    print(
        f"{each.name:<28}{len(each.items):>9}{found.precision:>11.3f}{found.recall:>8.3f}"
    )
    _print_wrong(each, wrong, show=show)


def _print_sentiment(each: Set, *, show: bool) -> None:
    wrong: list[str] = []
    accuracy, f1 = macro_f1(each.items, ours, wrong)
    of_vader = macro_f1(each.items, plain)
    interval = interval_of(each.items, ours)
    print(
        f"{each.name:<28}{len(each.items):>9}{accuracy:>10.3f}{f1:>10.3f}  {interval}"
        f"{of_vader[0]:>24.3f}{of_vader[1]:>10.3f}"
    )
    _print_wrong(each, wrong, show=show)


def _print_wrong(each: Set, wrong: list[str], *, show: bool) -> None:
    if show and each.is_shown and wrong:
        print("\n".join(wrong))


def _judged() -> dict[str, object]:
    """The figures of the set that decides; of the own other half where that is absent."""
    is_real = sets.TITLES.is_file()
    coins = sets.own("coins", "held")
    feelings = sets.own("sentiment", "held")
    if is_real:
        coins = sets.titles("coins", is_english=True)
        feelings = sets.titles("sentiment", is_english=True)
    found = coins_of(coins)
    return {
        "set": "real titles, English"
        if is_real
        else "own, the other half",
        "coins": {
            "precision": round(found.precision, 4),
            "recall": round(found.recall, 4),
        },
        "sentiment": {
            "macro_f1": round(macro_f1(feelings, ours)[1], 4),
            "vader_macro_f1": round(macro_f1(feelings, plain)[1], 4),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
