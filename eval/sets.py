"""The labelled headlines.

The project's own, half of them for tuning and half never looked at, and real titles by their
hash.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from pathlib import Path

import feedparser

SETS = Path(__file__).parent / "sets"
REAL = Path(__file__).parents[2] / "shared" / "realdata" / "feeds"


@dataclass(frozen=True)
class Labelled:
    title: str
    label: str


def own(task: str, half: str) -> list[Labelled]:
    """`task`: coins or sentiment. `half`: tune or held. Empty while there is no such set."""
    path = SETS / f"{task}_{half}.tsv"
    if not path.is_file():
        return []
    rows = [
        line.split("\t")
        for line in path.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return [Labelled(title, label) for label, title in rows]


def real(task: str, language: str) -> list[Labelled]:
    """Labelled titles of the feeds beside the project; empty where those are not present.

    `language`: en or zh.
    """
    labels = {}
    for line in (SETS / f"real_{task}.tsv").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            digest, label, written_in = line.split("\t")[:3]
            if written_in == language:
                labels[digest] = label
    found: dict[str, Labelled] = {}
    for folder in ("crypto", "real"):
        for path in sorted((REAL / folder).glob("*")):
            for entry in feedparser.parse(path.read_bytes()).entries:
                title = _clean(entry.get("title", ""))
                digest = hashlib.sha256(title.encode()).hexdigest()[:16]
                if digest in labels:
                    found[digest] = Labelled(title, labels[digest])
    return list(found.values())


def _clean(title: str) -> str:
    return re.sub(
        r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", title)).strip()
    )
