"""The coins that news may name, and the words around them that tell what is meant.

`coins.tsv` holds symbols and names with how much each needs to count; `contexts.tsv` the words that
show that a coin is meant; `other_senses.txt` what the same words mean elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from shared.values.words import grouped, lines

HERE = Path(__file__).parent
WORD = re.compile(r"[A-Za-z0-9À-ÖØ-öø-ÿ]+")
_INNER_CAPITAL = re.compile(r"[a-z][A-Z]")
_OWN = r"(?:'s|’s|'|’)?"
_GAP = r'[\s:”"]*'
_END = r"(?![A-Za-z0-9_])"
# Where the words of each kind stand.
_AROUND = {
    "kind": rf"{_OWN}{_GAP}(?:{{}}){_END}",
    "coin": rf"{_OWN}{_GAP}(?:{{}}){_END}",
    "moves": rf"{_GAP}(?:{{}}){_END}",
    "acts": rf"{_OWN}{_GAP}(?:{{}}){_END}",
    "had": rf"(?:'s|’s)\s+(?:{{}}){_END}",
    "before": r"(?<![A-Za-z])(?:{})\s*$",
}


class Need(StrEnum):
    """How much a symbol or a name needs to count.

    sure: nothing. caps: a name a capital letter, a symbol a title that is not all in capitals.
    context: words around it that mean a coin, a movement among them. strict: such words without
    movements. beside: the coin's symbol next to its name.
    """

    SURE = ""
    CAPS = "caps"
    CONTEXT = "context"
    STRICT = "strict"
    BESIDE = "beside"


@dataclass(frozen=True)
class Form:
    """One way to write a coin. `symbol`: in small letters."""

    symbol: str
    text: str
    needs: Need
    is_symbol: bool


@cache
def forms() -> dict[str, tuple[Form, ...]]:
    """All Latin forms by their first word in small letters, the longest first."""
    found: dict[str, list[Form]] = {}
    for line in lines(HERE / "coins.tsv"):
        for form in _forms_of(line):
            first = WORD.search(form.text)
            if first is not None:
                found.setdefault(first[0].lower(), []).append(form)
    return {
        word: tuple(sorted(listed, key=lambda form: -len(form.text)))
        for word, listed in found.items()
    }


def _forms_of(line: str) -> Iterator[Form]:
    symbol, name, others, symbol_needs, name_needs = line.split("\t")
    key = symbol.lower()
    yield Form(key, symbol, Need(symbol_needs), is_symbol=True)
    yield from _name_forms(key, name, Need(name_needs))
    for other in filter(None, others.split("|")):
        needs = _needs_of_other(other, Need(name_needs))
        yield from _name_forms(key, other, needs)


def _needs_of_other(name: str, needs: Need) -> Need:
    """Another name of several words, or with a capital inside, is clear."""
    is_clear = " " in name or _INNER_CAPITAL.search(name)
    return Need.CAPS if is_clear and needs != Need.SURE else needs


def _name_forms(symbol: str, name: str, needs: Need) -> Iterator[Form]:
    """A name, and its plural where it is no word besides."""
    is_single = WORD.fullmatch(name) is not None
    if not is_single and needs in (Need.CONTEXT, Need.STRICT):
        needs = Need.CAPS  # `NEAR Protocol`: several words are clear
    yield Form(symbol, name, needs, is_symbol=False)
    if is_single and needs == Need.SURE:
        yield Form(symbol, f"{name}s", needs, is_symbol=False)


@cache
def contexts() -> dict[str, re.Pattern[str]]:
    """What follows a name or symbol (kind, coin, moves, acts, had), or stands before it."""
    return {
        kind: re.compile(
            _AROUND[kind].format("|".join(parts)), re.IGNORECASE
        )
        for kind, parts in _alternatives().items()
    }


def _alternatives() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines(HERE / "contexts.tsv"):
        kind, _, alternatives = line.partition("\t")
        found.setdefault(kind, []).append(alternatives)
    return found


@cache
def words(kind: str) -> frozenset[str]:
    """The words of one kind in `words.tsv`."""
    return frozenset(grouped(HERE / "words.tsv")[kind])


@cache
def _other_senses() -> re.Pattern[str]:
    definitions: dict[str, list[str]] = {}
    patterns: list[str] = []
    for line in lines(HERE / "other_senses.txt"):
        if line.startswith("@"):
            name, _, part = line[1:].partition(" ")
            definitions.setdefault(name, []).append(part)
        else:
            patterns.append(line)
    whole = "|".join(patterns)
    for name, alternatives in definitions.items():
        whole = whole.replace(f"{{{name}}}", "|".join(alternatives))
    return re.compile(whole)


def without_other_senses(text: str) -> str:
    """The text with such words blanked out, so that places in it stay the same."""
    return _other_senses().sub(lambda found: " " * len(found[0]), text)
