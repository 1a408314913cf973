"""What makes an entry of a feed itself: its guid, else its link, else its title and date.

Where several entries of one document share that, their links tell them apart, then their titles,
and at last their whole content. A name that was once shared stays a name of several.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from services.extractor.sources.base import canonical
from services.extractor.sources.feeds.tracking import untracked
from shared.messages.base import Json

# What readers of times concluded is no part of the content, and moves with their mistakes.
_NO_CONTENT = frozenset(
    f"{name}_parsed"
    for name in ("published", "updated", "created", "expired")
) | {"links"}


@dataclass(frozen=True)
class Entry:
    """An entry of a feed. `key`: its identity; `digest`: the hash of its content."""

    key: str
    digest: str
    value: Json


@dataclass
class Identified:
    """The entries of a document, uppermost first, each with an identity of its own.

    `shared`: names that several entries have had. `copies`: titles of entries that equal another in
    everything.
    """

    entries: list[Entry] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    copies: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    place: int
    digest: str
    value: Json

    def key(self, level: int) -> str:
        """The identity by its first `level` + 1 marks; the content's where it has none."""
        marks = [*_marks(self.value), self.digest]
        if marks[0] == _NAMELESS:
            marks = [self.digest] * LEVELS
        name = "\x1f".join(marks[: level + 1])
        encoded = name.encode("utf-8", "surrogatepass")
        return hashlib.sha256(encoded).hexdigest()[:32]


LEVELS = 4
_NAMELESS = "None\x1fNone"  # without guid, link, title and date


def identified(
    values: Iterable[Json], seen: dict[str, str], shared: Iterable[str]
) -> Identified:
    """Give each entry of a document its identity.

    `seen`: the content's hash by identity, of earlier documents; an entry that has not changed
    keeps the identity that it had. `shared`: names that several entries had before.
    """
    found = Identified(shared=set(shared))
    open_: list[_Candidate] = list(_distinct(values, found))
    taken: dict[int, Entry] = {}
    for level in range(LEVELS):
        open_ = _take_level(open_, level, seen, found, taken)
    found.entries = [taken[place] for place in sorted(taken)]
    return found


def _distinct(
    values: Iterable[Json], found: Identified
) -> Iterator[_Candidate]:
    digests: set[str] = set()
    for place, value in enumerate(values):
        digest = _digest(value)
        if digest in digests:
            found.copies.append(
                str(value.get("title") or "without a title")
            )
            continue
        digests.add(digest)
        yield _Candidate(place, digest, value)


def _take_level(
    open_: list[_Candidate],
    level: int,
    seen: dict[str, str],
    found: Identified,
    taken: dict[int, Entry],
) -> list[_Candidate]:
    """Give those an identity whom this level tells apart; returns the others."""
    by_key: dict[str, list[_Candidate]] = defaultdict(list)
    for candidate in open_:
        by_key[candidate.key(level)].append(candidate)
    others = []
    for key, candidates in by_key.items():
        if len(candidates) > 1:
            found.shared.add(key)
        for candidate in candidates:
            is_alone = key not in found.shared or level == LEVELS - 1
            if is_alone or seen.get(key) == candidate.digest:
                taken[candidate.place] = Entry(
                    key, candidate.digest, candidate.value
                )
            else:
                others.append(candidate)
    return others


def _marks(entry: Json) -> list[str]:
    """What tells entries apart, the strongest first."""
    title = str(entry.get("title") or "")
    link = str(entry.get("link") or "")
    date = entry.get("published") or entry.get("updated")
    dated = f"{entry.get('title')}\x1f{date}"
    name = str(entry.get("id") or entry.get("link") or dated)
    return [untracked(name), untracked(link), title]


def _digest(entry: Json) -> str:
    """The hash of an entry's content, without parameters that track readers."""
    content = {
        name: untracked(value) if isinstance(value, str) else value
        for name, value in entry.items()
        if name not in _NO_CONTENT
    }
    return hashlib.sha256(canonical(content)[0]).hexdigest()[:16]
