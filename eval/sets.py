"""The labelled headlines.

Real titles of public data sets decide; they lie beside the project. The project's own are made up:
half of them for tuning, half for comparing with what others say.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import feedparser

SETS = Path(__file__).parent / "sets"
REAL = Path(__file__).parents[2] / "shared" / "realdata"
TITLES = REAL / "news" / "labelled_titles.tsv"
FOLDS = 5
ENGLISH = "en"


@dataclass(frozen=True)
class Labelled:
    """A headline. `label`: coins between commas (`a/b`: either is right, `-`: none) or a class."""

    title: str
    label: str
    maybe: str = ""
    language: str = ENGLISH

    def optional(self) -> set[str]:
        """Coins that are neither right nor wrong."""
        return set(self.maybe.split(",")) - {""}

    def compared(self, found: set[str]) -> tuple[int, int, set[str]]:
        """(coins that are right, coins that are missed, coins that are wrong)."""
        hits = 0
        missed = 0
        extra = set(found)
        for wanted in self.label.split(","):
            either = set(wanted.split("/")) - {"-", ""}
            if not either:
                continue
            is_found = bool(either & found)
            hits += is_found
            missed += not is_found
            extra -= either
        return hits, missed, extra

    @property
    def fold(self) -> int:
        return (
            int(hashlib.sha256(self.title.encode()).hexdigest(), 16)
            % FOLDS
        )


def titles(task: str, *, is_english: bool) -> list[Labelled]:
    """The real titles that are labelled for a task: coins or sentiment. Empty where absent."""
    return [
        item
        for item in _titles(task)
        if (item.language == ENGLISH) == is_english
    ]


def _titles(task: str) -> Iterator[Labelled]:
    if not TITLES.is_file():
        return
    rows = [
        line.split("\t")
        for line in TITLES.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    names = rows[0]
    for row in rows[1:]:
        cells = dict(zip(names, row, strict=True))
        label = cells[task]
        if label:
            maybe = cells["optional"] if task == "coins" else ""
            yield Labelled(cells["headline"], label, maybe, cells["lang"])


def own(task: str, half: str) -> list[Labelled]:
    """`task`: coins or sentiment. `half`: tune or held."""
    path = SETS / f"{task}_{half}.tsv"
    rows = [
        line.split("\t")
        for line in path.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return [Labelled(title, label) for label, title in rows]


def of_feeds(task: str, language: str) -> list[Labelled]:
    """Labelled titles of the feeds beside the project; empty where those are not present.

    `language`: en or zh.
    """
    labels = _labels_by_hash(task, language)
    found: dict[str, Labelled] = {}
    for title in _titles_of_feeds():
        digest = hashlib.sha256(title.encode()).hexdigest()[:16]
        if digest in labels:
            found[digest] = Labelled(title, labels[digest])
    return list(found.values())


def _labels_by_hash(task: str, language: str) -> dict[str, str]:
    labels = {}
    for line in (
        (SETS / f"real_{task}.tsv").read_text("utf-8").splitlines()
    ):
        if line and not line.startswith("#"):
            digest, label, written_in = line.split("\t")[:3]
            if written_in == language:
                labels[digest] = label
    return labels


def _titles_of_feeds() -> Iterator[str]:
    for folder in ("crypto", "real"):
        for path in sorted((REAL / "feeds" / folder).glob("*")):
            for entry in feedparser.parse(path.read_bytes()).entries:
                yield _clean(entry.get("title", ""))


def _clean(title: str) -> str:
    bare = html.unescape(re.sub(r"<[^>]+>", "", title)).strip()
    return re.sub(r"\s+", " ", bare)
