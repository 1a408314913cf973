"""What words mean together: `fees fall` is good, `inflows fall` is not, `ban lifted` is.

Words are of few classes (`words.tsv`). A frame is a word that moves or stops something and the
thing that it moves or stops, close before or after it; it counts as one word, and its two words no
longer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from shared.values.words import lines

STRONG = 2.2
PLAIN = 1.8
MOVERS = ("up", "down", "stop", "not")
THINGS = ("good", "bad")
_TOKEN = re.compile(r"[A-Za-z][\w&-]*(?:['’]\w+)?")
_POSSESSIVE = re.compile(r"['’]s$")
_BOUNDARY = re.compile(
    r"[;:—–?!]| - |, |\b(?:as|after|while|despite|but|even|amid|though|although|following|before"
    r"|until|when|and)\b",
    re.IGNORECASE,
)
_BEFORE = 3  # so many words apart
_AFTER = 4
# What follows one of these is not an object of the verb before it: `ends with losses`.
_NO_OBJECT = frozenset(
    "in with to into at by on as for from against under".split()
)
_NO_OBJECTS_EITHER = frozenset(
    "again of further below above over out off up down among across through since this last next "
    "by-then today and or nearly almost".split()
)
_ENDS_IN_Y = re.compile(r"[^aeiou]y$")
_SIBILANT_NOUN = re.compile(r"(s|x|ch|sh)$")
_SIBILANT_VERB = re.compile(r"(s|x|z|ch|sh)$")
_DOUBLES = re.compile(r"[^aeiou][aeiou][bdgklmnprt]$")  # drop, dropped


@dataclass(frozen=True)
class Word:
    """What a word does, and its weight alone."""

    kind: str
    weight: float


NO_OBJECT = Word("preposition", 0.0)


@dataclass(frozen=True)
class Token:
    """A word of the text: its clause, where it stands, its plain form, what is known of it."""

    clause: int
    start: int
    end: int
    form: str
    word: Word | None


@dataclass(frozen=True)
class Frame:
    """A stretch of the text that counts as one, from `start` to `end`."""

    start: int
    end: int
    weight: float


@cache
def words() -> dict[str, Word]:
    """Every form of every word. The first line that names a form wins."""
    found: dict[str, Word] = {}
    for line in lines(Path(__file__).with_name("words.tsv")):
        name, weight, listed = line.split("\t")
        kind, _, part = name.partition(".")
        word = Word(kind, float(weight))
        for lemma in listed.split():
            for form in _forms(lemma, part):
                found.setdefault(form, word)
    return found


def _forms(lemma: str, part: str) -> list[str]:
    """The forms of a word. `part`: `n` for nouns, `v` for verbs."""
    if part == "n":
        return [lemma, _plural(lemma)]
    return _verb_forms(lemma) if part == "v" else [lemma]


def _plural(lemma: str) -> str:
    if _ENDS_IN_Y.search(lemma):
        return f"{lemma[:-1]}ies"
    if _SIBILANT_NOUN.search(lemma):
        return f"{lemma}es"
    return f"{lemma[:-1]}ves" if lemma == "thief" else f"{lemma}s"


def _verb_forms(lemma: str) -> list[str]:
    stem = lemma[:-1]
    if lemma.endswith("e"):
        return [lemma, f"{lemma}s", f"{lemma}d", f"{stem}ing"]
    if _ENDS_IN_Y.search(lemma):
        return [lemma, f"{stem}ies", f"{stem}ied", f"{lemma}ing"]
    third = f"{lemma}es" if _SIBILANT_VERB.search(lemma) else f"{lemma}s"
    forms = [lemma, third, f"{lemma}ed", f"{lemma}ing"]
    if _DOUBLES.search(lemma):
        last = lemma[-1]
        forms += [f"{lemma}{last}ed", f"{lemma}{last}ing"]
    return forms


def frames(text: str) -> list[Frame]:
    """The frames of a text, none over another, in their order."""
    tokens = _tokens(text)
    made: list[Frame] = []
    used: set[int] = set()
    for at, token in enumerate(tokens):
        word = token.word
        if word is None or word.kind not in MOVERS or at in used:
            continue
        found = _thing(tokens, at, used)
        if found is None:
            continue
        other, thing = found
        first = min(at, other)
        last = max(at, other)
        used.update(range(first, last + 1))
        made.append(
            Frame(
                tokens[first].start, tokens[last].end, _weight(word, thing)
            )
        )
    return sorted(made, key=lambda frame: frame.start)


def _weight(mover: Word, thing: Word) -> float:
    is_good = (thing.kind == "good") == (mover.kind == "up")
    size = STRONG if mover.kind == "stop" else PLAIN
    return size if is_good else -size


def _tokens(text: str) -> list[Token]:
    known = words()
    tokens: list[Token] = []
    clause = 0
    boundaries = [found.start() for found in _BOUNDARY.finditer(text)]
    for match in _TOKEN.finditer(text):
        while boundaries and boundaries[0] <= match.start():
            boundaries.pop(0)
            clause += 1
        form = _POSSESSIVE.sub("", match[0]).lower()
        word = known.get(form) or (
            NO_OBJECT if form in _NO_OBJECT else None
        )
        tokens.append(Token(clause, match.start(), match.end(), form, word))
    return tokens


def _thing(
    tokens: list[Token], at: int, used: set[int]
) -> tuple[int, Word] | None:
    """The nearest good or bad thing in the same clause: after the word, or before it."""
    after = range(at + 1, at + 1 + _AFTER)
    for other in _reachable(tokens, at, after, used):
        word = tokens[other].word
        if word is NO_OBJECT:
            break
        if word is not None and word.kind in THINGS:
            return other, word
    mover = tokens[at].word
    if mover is not None and mover.kind == "not":
        return None
    before = range(at - 1, at - 1 - _BEFORE, -1)
    for other in _reachable(tokens, at, before, used):
        word = tokens[other].word
        if word is not None and word.kind in THINGS:
            is_hurt = word.kind == "bad" and _has_object(tokens, at)
            return None if is_hurt else (other, word)
    return None


def _reachable(
    tokens: list[Token], at: int, places: range, used: set[int]
) -> list[int]:
    """The places up to the end of the clause, or to a word that is used already."""
    found = []
    for other in places:
        if not 0 <= other < len(tokens) or other in used:
            break
        if tokens[other].clause != tokens[at].clause:
            break
        found.append(other)
    return found


def _has_object(tokens: list[Token], at: int) -> bool:
    """Whether the verb acts on something: in `jitters sink miners` nothing bad becomes less."""
    verb = tokens[at]
    if verb.form.endswith(("ed", "n", "er", "est")) or at + 1 == len(
        tokens
    ):
        return False
    following = tokens[at + 1]
    if following.clause != verb.clause or following.word is NO_OBJECT:
        return False
    return (
        not following.form.endswith("ly")
        and following.form not in _NO_OBJECTS_EITHER
    )
