"""What a CSV file means, inferred from what the extractor found.

That is the path, the header, the first rows and the statistics over all rows: a pure function of a
page's context, so that a page of long ago is read by what its file showed then, also by a better
inference. A conclusion needs evidence from cells; evidence that contradicts it is a refusal.
"""

from __future__ import annotations

from typing import Any

from shared.csvfile.meaning import number_formats
from shared.csvfile.meaning.coins import CoinFinder
from shared.csvfile.meaning.column_names import read_name
from shared.csvfile.meaning.columns import Column
from shared.csvfile.meaning.evidence import Evidence, read_evidence
from shared.csvfile.meaning.number_formats import NumberColumn
from shared.csvfile.meaning.schema import (
    FINISHED,
    UNFINISHED,
    CsvSchema,
    Series,
    TimeFormat,
)
from shared.csvfile.meaning.series import SeriesFinder
from shared.csvfile.meaning.time_column import TimeFinder
from shared.csvfile.repeated import refuse_repeated

Json = dict[str, Any]


def infer_schema(context: Json) -> CsvSchema:
    """The schema of a file.

    Raises UnmappableError that says what is missing or ambiguous, and what to do.
    """
    evidence = read_evidence(context)
    _refuse_cut_numbers(evidence)
    chosen, times = TimeFinder(evidence).find()
    taken = chosen.positions()
    coins = CoinFinder(evidence)
    symbol = coins.symbol_column(taken)
    if symbol is not None:
        taken.add(symbol.position)
    series = SeriesFinder(evidence, coins).find(taken, symbol)
    currency = coins.currency_column(symbol)
    fallback = coins.fallback_currency()
    if currency is None:
        coins.note_currency(series, symbol, fallback)
    decimals = _decimals(evidence, series)
    refuse_repeated(evidence, series, times, (symbol, currency), decimals)
    finished = _finished(evidence)
    others = [chosen.time, chosen.date, symbol, currency, finished]
    return CsvSchema(
        width=evidence.width,
        times=times,
        decimals=decimals,
        series=series,
        symbol=symbol.position if symbol else None,
        currency=currency.position if currency else None,
        fallback_currency=fallback.value,
        interval=_interval(evidence, times),
        reasons=evidence.reasons.listed,
        unused=_unused(evidence, series, others),
        given_currency=coins.given_currency(symbol),
        finished=finished.position if finished else None,
    )


def _finished(evidence: Evidence) -> Column | None:
    """The column that says of each row whether its time is over."""
    for column in evidence.columns:
        if column.meaning.role != "finished":
            continue
        words = {text.strip().lower() for text in column.values()}
        if words and words <= FINISHED | UNFINISHED:
            because = "its name and its cells"
            evidence.reasons.add("finished", "column", because, column)
            return column
    return None


def _may_show_a_mark(column: Column, delimiter: str) -> bool:
    """In a file cut at commas, `"1,2"` may be a list; `"-1,23%"` is a number."""
    filled = filter(None, map(str.strip, column.sample))
    return delimiter != "," or all(cell.endswith("%") for cell in filled)


def _refuse_cut_numbers(evidence: Evidence) -> None:
    """Raises UnmappableError `ambiguous_number` for `Date,Price` above `2021-03-01,42,50`."""
    if evidence.has_header or not evidence.preamble:
        return
    names = evidence.preamble[-1].split(evidence.delimiter)
    is_header = read_name(names[0]).role == "time"
    if is_header and len(names) + 1 == evidence.width:
        raise evidence.refusal(
            "ambiguous_number",
            "price",
            f"its header names {len(names)} columns and its rows have {evidence.width} cells: "
            "numbers with a decimal comma may be cut in two. Export it with another delimiter, or "
            "leave it out",
            ignore="true",
        )


def _unused(
    evidence: Evidence, series: list[Series], others: list[Column | None]
) -> list[str]:
    used = {column.position for column in others if column is not None}
    for each in series:
        used.update(each.columns.values())
    return [
        column.shown
        for column in evidence.columns
        if column.position not in used
    ]


def _interval(evidence: Evidence, times: TimeFormat) -> str | None:
    found = number_formats.interval_of(
        evidence.path,
        evidence.sample,
        times.moment,
        evidence.given.get("interval"),
    )
    if found.value:
        evidence.reasons.add("interval", found.value, found.reason)
    return found.value


def _decimals(evidence: Evidence, series: list[Series]) -> dict[int, str]:
    used: dict[int, NumberColumn] = {}
    for each in series:
        for position in each.columns.values():
            column = evidence.column_at(position)
            used[position] = NumberColumn(column.shown, column.stats)
    marks, reason = number_formats.decimal_marks(
        evidence.path,
        evidence.delimiter,
        used,
        evidence.given.get("decimal"),
        number_formats.marks_shown(
            column.stats
            for column in evidence.columns
            if column.position not in used
            and _may_show_a_mark(column, evidence.delimiter)
        ),
    )
    if "," in marks.values():
        evidence.reasons.add("decimal", ",", reason)
    return marks
