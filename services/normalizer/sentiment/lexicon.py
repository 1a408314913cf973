"""What words and phrases weigh in each language, and which of them stand in a sentence.

`words.tsv` (English) and `other_languages.tsv` hold entries: words, of which `*` ends one that
begins so, `..` stands for up to three words or none, `.` for one or none, `<list>` for a word of
that list in `lists.tsv`. The longest entry that fits at a place counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from shared.values.words import grouped, lines

ENGLISH = "en"
# Of languages that are written without spaces, entries are found anywhere.
UNSPACED = frozenset({"zh", "ja", "ko"})
# What led to the news follows these: `coin rallies after hack`.
LED_TO = frozenset(
    "after despite amid amidst following since as because due while though although ahead "
    "before until".split()
)
_GAPS = {".": 1, "..": 3}  # words
_LONGEST_BEGINNING = 30  # letters
_SHORTEST_BEGINNING = 2
_HERE = Path(__file__).parent
_WORD = re.compile(
    r"\+?[$€£]?\d(?:[\d.,]*\d)?(?:%|x\b|[kmb]\b)?(?:-[^\W\d_]+)*"
    r"|[^\W\d_]\w*(?:[-'&.][^\W_]\w*)*"
)


class Entry(NamedTuple):
    """The words of an entry, as they stand in the table, and its weight."""

    items: tuple[str, ...]
    weight: float


class Found(NamedTuple):
    """Where an entry fits: from word `start` up to `end`."""

    start: int
    end: int
    weight: float


class Table(NamedTuple):
    """Entries by their first word, or by the beginning of it."""

    exact: dict[str, list[Entry]]
    beginnings: dict[str, list[Entry]]

    def add(self, entry: Entry) -> None:
        first = entry.items[0]
        if first.startswith("<"):
            for word in _listed(first):
                self.exact.setdefault(word, []).append(entry)
        elif first.endswith("*"):
            self.beginnings.setdefault(first[:-1], []).append(entry)
        else:
            self.exact.setdefault(first, []).append(entry)

    def entries_for(self, word: str) -> Iterator[Entry]:
        """Those whose first word it may be."""
        yield from self.exact.get(word, ())
        longest = min(len(word), _LONGEST_BEGINNING)
        for size in range(_SHORTEST_BEGINNING, longest + 1):
            yield from self.beginnings.get(word[:size], ())
        if word[:1] in "+$":
            yield from self.beginnings.get(word[:1], ())


@cache
def tables() -> dict[str, Table]:
    """The entries of each language that is understood."""
    found: dict[str, Table] = {}
    rows = [f"{ENGLISH}\t{row}" for row in lines(_HERE / "words.tsv")]
    for row in (*rows, *lines(_HERE / "other_languages.tsv")):
        language, weight, listed = row.split("\t")
        table = found.setdefault(language, Table({}, {}))
        for text in listed.split(", "):
            table.add(Entry(tuple(text.split()), float(weight)))
    return found


@cache
def _lists() -> dict[str, frozenset[str]]:
    named = grouped(_HERE / "lists.tsv")
    return {name: frozenset(words) for name, words in named.items()}


def _listed(item: str) -> frozenset[str]:
    """The words that `<name>` stands for."""
    return _lists()[item[1:-1]]


def words_of(text: str) -> list[str]:
    """Words in small letters, numbers with their sign and unit."""
    return [
        word.removesuffix("'s") for word in _WORD.findall(text.lower())
    ]


def entries_in(
    sentence: str, language: str
) -> tuple[list[str], list[Found]]:
    """The words of a sentence, and the entries with a weight among them, in their order."""
    if language in UNSPACED:
        return _anywhere(sentence, language)
    words = words_of(sentence)
    table = tables()[language]
    found: list[Found] = []
    at = 0
    while at < len(words):
        best = _longest(table, words, at)
        at = at + 1 if best is None else best.end
        if best is not None and best.weight:
            found.append(best)
    return words, found


def _anywhere(text: str, language: str) -> tuple[list[str], list[Found]]:
    exact = tables()[language].exact
    words = _joined(language).findall(text)
    found = []
    for place, word in enumerate(words):
        weight = exact[word][0].weight
        if weight:
            found.append(Found(place, place + 1, weight))
    return words, found


@cache
def _joined(language: str) -> re.Pattern[str]:
    exact = tables()[language].exact
    longest_first = sorted(exact, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))


def _longest(table: Table, words: list[str], at: int) -> Found | None:
    best = None
    best_size = (0, 0)
    for entry in table.entries_for(words[at]):
        end = _end(entry.items, words, at)
        size = (end, sum(map(len, entry.items)))
        if end and size > best_size:
            best = Found(at, end, entry.weight)
            best_size = size
    return best


def _end(items: tuple[str, ...], words: list[str], at: int) -> int:
    """The place after the last word of the entry; 0 where it does not fit."""
    for number, item in enumerate(items):
        if item in _GAPS:
            rest = items[number + 1 :]
            return _end_after_gap(rest, words, at, _GAPS[item])
        if at >= len(words) or not _is(item, words[at]):
            return 0
        at += 1
    return at


def _end_after_gap(
    items: tuple[str, ...], words: list[str], at: int, gap: int
) -> int:
    last = min(at + gap, len(words) - 1)
    for start in range(at, last + 1):
        if start > at and words[start - 1] in LED_TO:
            return 0
        end = _end(items, words, start)
        if end:
            return end
    return 0


def _is(item: str, word: str) -> bool:
    if item == "<percent>":
        return word.endswith("%")
    if item == "<number>":
        return word.lstrip("+$€£")[:1].isdigit()
    if item.startswith("<"):
        return word in _listed(item)
    if item.endswith("*"):
        return word.startswith(item[:-1])
    return word == item
