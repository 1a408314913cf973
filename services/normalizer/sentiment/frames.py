"""What words mean together: `fees fall` is good, `inflows fall` is not, `ban lifted` is, `upgrade cancelled` is not.

Words are of few classes (`words.tsv`). A frame is a word that moves or stops something and the thing that it moves or
stops, close before or after it; it counts as one word, and its two words no longer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

STRONG, PLAIN = 2.2, 1.8
_TOKEN = re.compile(r"[A-Za-z][\w&-]*(?:['’]\w+)?")
_BOUNDARY = re.compile(
    r"[;:—–?!]| - |, |\b(?:as|after|while|despite|but|even|amid|though|although|following|before|until|when|and)\b", re.IGNORECASE
)
_BEFORE, _AFTER = 3, 4  # so many words apart
# What follows one of these is no object of the verb before it: `ends with losses`, `slides into recession`.
_NO_OBJECT = frozenset(["in", "with", "to", "into", "at", "by", "on", "as", "for", "from", "against", "under"])
_NO_OBJECTS_EITHER = frozenset(
    [
        "again",
        "of",
        "further",
        "below",
        "above",
        "over",
        "out",
        "off",
        "up",
        "down",
        "among",
        "across",
        "through",
        "since",
        "this",
        "last",
        "next",
        "by-then",
        "today",
        "and",
        "or",
        "nearly",
        "almost",
    ]
)


@dataclass(frozen=True)
class Word:
    """What a word does, and its weight alone."""

    kind: str
    weight: float


NO_OBJECT = Word("preposition", 0.0)


@dataclass(frozen=True)
class Token:
    """A word of the text: which clause it is in, where it stands, its plain form, and what is known of it."""

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
    for line in Path(__file__).with_name("words.tsv").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, weight, listed = line.split("\t")
        kind, _, part = name.partition(".")
        for lemma in listed.split():
            for form in _forms(lemma, part):
                found.setdefault(form, Word(kind, float(weight)))
    return found


def _forms(lemma: str, part: str) -> list[str]:
    if part == "n":
        return [
            lemma,
            f"{lemma[:-1]}ies"
            if re.search(r"[^aeiou]y$", lemma)
            else f"{lemma}es"
            if re.search(r"(s|x|ch|sh)$", lemma)
            else f"{lemma[:-1]}ves"
            if lemma == "thief"
            else f"{lemma}s",
        ]
    if part != "v":
        return [lemma]
    if lemma.endswith("e"):
        return [lemma, f"{lemma}s", f"{lemma}d", f"{lemma[:-1]}ing"]
    if re.search(r"[^aeiou]y$", lemma):
        return [lemma, f"{lemma[:-1]}ies", f"{lemma[:-1]}ied", f"{lemma}ing"]
    third = f"{lemma}es" if re.search(r"(s|x|z|ch|sh)$", lemma) else f"{lemma}s"
    forms = [lemma, third, f"{lemma}ed", f"{lemma}ing"]
    if re.search(r"[^aeiou][aeiou][bdgklmnprt]$", lemma):  # drop, dropped
        forms += [f"{lemma}{lemma[-1]}ed", f"{lemma}{lemma[-1]}ing"]
    return forms


def frames(text: str) -> list[Frame]:
    """The frames of a text, none over another, in their order."""
    known, tokens, clause = words(), list[Token](), 0
    boundaries = [found.start() for found in _BOUNDARY.finditer(text)]
    for match in _TOKEN.finditer(text):
        while boundaries and boundaries[0] <= match.start():
            boundaries.pop(0)
            clause += 1
        form = re.sub(r"['’]s$", "", match[0]).lower()
        word = known.get(form) or (NO_OBJECT if form in _NO_OBJECT else None)
        tokens.append(Token(clause, match.start(), match.end(), form, word))
    made: list[Frame] = []
    used: set[int] = set()
    for at, token in enumerate(tokens):
        word = token.word
        if word is None or word.kind not in ("up", "down", "stop", "not") or at in used:
            continue
        found = _thing(tokens, at, used)
        if found is None:
            continue
        other, thing = found
        used |= set(range(min(at, other), max(at, other) + 1))
        good = (thing.kind == "good") == (word.kind == "up")
        weight = (STRONG if word.kind == "stop" else PLAIN) * (1 if good else -1)
        made.append(Frame(tokens[min(at, other)].start, tokens[max(at, other)].end, weight))
    return sorted(made, key=lambda frame: frame.start)


def _thing(tokens: list[Token], at: int, used: set[int]) -> tuple[int, Word] | None:
    """The nearest good or bad thing in the same clause: after the word, or before it."""
    verb, clause = tokens[at].word, tokens[at].clause
    for places in (range(at + 1, at + 1 + _AFTER), range(at - 1, at - 1 - _BEFORE, -1)):
        if places.step < 0 and verb is not None and verb.kind == "not":
            return None
        for other in places:
            if not 0 <= other < len(tokens) or other in used or tokens[other].clause != clause:
                break
            word = tokens[other].word
            if word is NO_OBJECT and places.step > 0:
                break
            if word is not None and word.kind in ("good", "bad"):
                is_hurt = places.step < 0 and word.kind == "bad" and _has_object(tokens, at, clause)
                return None if is_hurt else (other, word)
    return None


def _has_object(tokens: list[Token], at: int, clause: int) -> bool:
    """Whether the verb acts on something: in `jitters sink miners` nothing bad becomes less."""
    if tokens[at].form.endswith(("ed", "n", "er", "est")) or at + 1 == len(tokens) or tokens[at + 1].clause != clause:
        return False
    following = tokens[at + 1]
    return following.word is not NO_OBJECT and not following.form.endswith("ly") and following.form not in _NO_OBJECTS_EITHER
