"""Staged pages as rows for COPY, and their data points in rounds. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from services.loader.pages.staged_page import (
    NULL,
    POINT_CELLS,
    StagedPage,
    json_text,
    raw_text,
    text,
)
from shared.identity.point_ids import is_of_news
from shared.messages.pages import RawPage, Skip
from shared.messages.runs import Outcome

POINT_COLUMNS = ("n", "round", "series_id", *POINT_CELLS)
PAGE_COLUMNS = (
    "n",
    "page_id",
    "run_id",
    "task_id",
    "source",
    "dataset",
    "stream",
    "page_no",
    "record_count",
    "fetched_at",
    "broker_ms",
    "origin",
    "context",
    "payload",
    "rejections",
    "cursor_before",
    "cursor_after",
    "topic",
    "partition",
    "raw_offset",
    "skipped",
    "rejected",
    "skip_reasons",
    "skip_examples",
    "normalizer_version",
    "ids",
    "value_hashes",
    "of_run",
    "of_task",
    "symbol",
    "first_id",
    "last_id",
)
INSERTED, UPDATED, UNCHANGED = (outcome.encode() for outcome in Outcome)
_BEST_FIRST = INSERTED + UPDATED + UNCHANGED
_NO_RAW_CELLS = (NULL,) * 6
Round = dict[
    str, tuple[int, int]
]  # id → its page's place in the batch, its place in the page


def in_rounds(pages: list[StagedPage]) -> list[Round]:
    """The data points of pages, which are in the order of their versions, in rounds.

    An `INSERT … ON CONFLICT` must not meet one id twice. Round n holds the n-th occurrence of each
    id, so the oldest version comes first.
    """
    points = [
        (id_, (number, position))
        for number, page in enumerate(pages)
        for position, id_ in enumerate(page.ids)
    ]
    rounds: list[Round] = []
    while points:
        found: Round = {}
        later = []
        for id_, place in points:
            if found.setdefault(id_, place) is not place:
                later.append((id_, place))
        rounds.append(found)
        points = later
    return rounds


def point_rows(
    pages: list[StagedPage], rounds: list[Round]
) -> Iterator[str]:
    for number, places in enumerate(rounds):
        for page, position in places.values():
            of_page = pages[page]
            series = of_page.series[position]
            yield f"{page}\t{number}\t{series}\t{of_page.rows[position]}\n"


def tally(
    records: list[int], outcomes: bytes
) -> tuple[str, int, int, int]:
    """The outcomes as a text, and how many records were inserted, updated, unchanged.

    A record of several points counts once, as the best of them.
    """
    best = outcomes
    if len(set(records)) < len(records):
        by_record: dict[int, int] = {}
        for record, outcome in zip(records, outcomes, strict=True):
            other = by_record.get(record, outcome)
            by_record[record] = min(other, outcome, key=_BEST_FIRST.index)
        best = bytes(by_record.values())
    counts = (
        best.count(INSERTED),
        best.count(UPDATED),
        best.count(UNCHANGED),
    )
    return outcomes.decode(), *counts


def page_rows(
    pages: list[StagedPage], topic: str, *, with_raw: bool
) -> Iterator[str]:
    """Rows of the pages themselves: what the receipts need and, `with_raw`, raw_data.

    `run_id` is the run that writes them, `of_run` that of the page.
    """
    for number, page in enumerate(pages):
        yield _page_row(number, page, topic, with_raw=with_raw)


def _skip_examples(skipped: list[Skip]) -> dict[str, list[str]]:
    """The names of a few skipped records, by reason."""
    found: dict[str, list[str]] = {}
    for skip in skipped:
        if skip.name is not None:
            found.setdefault(skip.reason, []).append(skip.name)
    return found


def _page_row(
    number: int, page: StagedPage, topic: str, *, with_raw: bool
) -> str:
    raw = page.raw
    unified = page.unified
    replay = unified.replay
    cells = (
        str(number),
        raw.page_id,
        page.run_id,
        page.task_id,
        text(raw.source),
        text(raw.dataset),
        text(raw.stream),
        str(raw.page_no),
        str(raw.record_count),
        text(raw.fetched_at),
        str(unified.raw_time),
        *(_raw_cells(raw) if with_raw else _NO_RAW_CELLS),
        topic,
        str(unified.raw_partition),
        str(unified.raw_offset),
        str(len(unified.skipped)),
        str(page.rejected_count()),
        json_text(Counter(skip.reason for skip in unified.skipped)),
        json_text(_skip_examples(unified.skipped)),
        str(unified.normalizer_version),
        f"{{{','.join(page.ids)}}}",
        f"{{{','.join(map(str, page.hashes))}}}",
        raw.run_id,
        raw.task_id,
        text(replay.symbol if replay else None),
        *_outer_ids(page.ids),
    )
    return "\t".join(cells) + "\n"


def _raw_cells(raw: RawPage) -> tuple[str, ...]:
    before = map(raw_text, (raw.origin, raw.context, raw.records))
    after = map(raw_text, (raw.cursor_before, raw.cursor_after))
    return *before, json_text(raw.rejections or None), *after


def _outer_ids(ids: list[str]) -> tuple[str, str]:
    """The first and the last of those that have times."""
    timed = [id_ for id_ in ids if not is_of_news(id_)]
    return (min(timed), max(timed)) if timed else (NULL, NULL)
