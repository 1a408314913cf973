"""What a CSV file means, inferred from what the extractor found.

That is the path, the header, the first rows and the statistics over all rows: a pure function of a
page's context, so that a page of long ago is read by what its file showed then, also by a better
inference.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from shared.csvfile.column_stats import stats_of_rows
from shared.csvfile.meaning import number_formats
from shared.csvfile.meaning.column_names import key
from shared.csvfile.meaning.columns import (
    Column,
    Reasons,
    TimeColumns,
    read_columns,
    time_columns,
)
from shared.csvfile.meaning.number_formats import BY_PERSON, NumberColumn
from shared.csvfile.meaning.schema import CsvSchema, Row, Series, TimeFormat
from shared.csvfile.meaning.series import SeriesFinder
from shared.errors import UnmappableError

Json = dict[str, Any]
MAX_SHOWN = 200  # characters of a header or row in a message


def infer_schema(context: Json) -> CsvSchema:
    """The schema of a file.

    Raises UnmappableError that says what is missing or ambiguous, and what to do.
    """
    return _Inference(context).schema()


class _Inference:
    """The steps towards a schema; `reasons` grows with them."""

    def __init__(self, context: Json) -> None:
        self._path = str(context.get("path", ""))
        self._given: Json = context.get("mapping") or {}
        self._delimiter = str(context.get("delimiter", ","))
        self._preamble: list[str] = context.get("preamble") or []
        rows: list[Row] = context.get("sample") or []
        width = len(context.get("columns") or (rows[0] if rows else ()))
        # Pages of an older release have the first rows only.
        self._stats: Json = context.get("evidence") or stats_of_rows(
            rows, width
        )
        self._columns = read_columns(context, self._stats)
        self._sample = [
            row for row in rows if len(row) == len(self._columns)
        ]
        self._has_header = bool(context.get("columns"))
        self._reasons = Reasons()
        self._by_person = self._columns_by_person()

    def schema(self) -> CsvSchema:
        chosen = self._time()
        times = self._time_format(chosen)
        taken = {chosen.time.position}
        if chosen.date is not None:
            taken.add(chosen.date.position)
        finder = SeriesFinder(
            path=self._path,
            given=self._given,
            columns=self._columns,
            stats=self._stats,
            sample=self._sample,
            preamble=self._preamble,
            by_person=self._by_person,
            reasons=self._reasons,
            header_shown=self._shown(),
            has_header=self._has_header,
        )
        series, symbol = finder.find(taken)
        currency = self._currency_column()
        interval = self._interval(times)
        return CsvSchema(
            width=len(self._columns),
            times=times,
            decimals=self._decimals(series),
            series=series,
            symbol=symbol.position if symbol else None,
            currency=currency.position if currency else None,
            fallback_currency=finder.fallback_currency(),
            interval=interval,
            reasons=self._reasons.listed,
            unused=self._unused(
                series, [chosen.time, chosen.date, symbol, currency]
            ),
        )

    def _unused(
        self, series: list[Series], others: list[Column | None]
    ) -> list[str]:
        used = {column.position for column in others if column is not None}
        for each in series:
            used.update(each.columns.values())
        return [
            column.shown
            for column in self._columns
            if column.position not in used
        ]

    def _columns_by_person(self) -> dict[str, Column]:
        """Columns that the mapping file names, by name or by number from 1."""
        found = {}
        for role, wanted in (self._given.get("columns") or {}).items():
            column = next(
                (each for each in self._columns if _is_named(each, wanted)),
                None,
            )
            if column is None:
                message = (
                    f"{self._path}: mapping.yaml says that {role} is column {wanted!r}, "
                    "which is not there"
                )
                raise UnmappableError("bad_mapping", message, role)
            found[role] = column
        return found

    # -- times ------------------------------------------------------------------------------------

    def _time(self) -> TimeColumns:
        if "time" in self._by_person:
            time = self._by_person["time"]
            self._reasons.add("time", "column", BY_PERSON, time)
            return TimeColumns(time, self._by_person.get("date"), BY_PERSON)
        found = time_columns(self._columns)
        if found is None:
            message = "no column is a time (date, time, timestamp …)"
            raise UnmappableError(
                "unknown_columns",
                f"{self._path}: {message}; {self._shown()}",
                "time",
            )
        if found.date is None:
            self._reasons.add("time", "column", found.reason, found.time)
        else:
            self._reasons.add(
                "time", "columns", found.reason, found.date, found.time
            )
        return found

    def _time_format(self, chosen: TimeColumns) -> TimeFormat:
        column = chosen.date or chosen.time
        order = number_formats.date_order(
            self._path, column.shown, column.stats, self._given.get("dates")
        )
        if order.value:
            self._reasons.add("dates", order.value, order.reason, column)
        zone = self._given.get("timezone")
        return TimeFormat(
            time=chosen.time.position,
            date=chosen.date.position if chosen.date else None,
            order=order.value,
            zone=ZoneInfo(zone) if zone else None,
            is_excel=chosen.date is None and chosen.time.is_excel(),
        )

    def _interval(self, times: TimeFormat) -> str | None:
        found = number_formats.interval_of(
            self._path,
            self._sample,
            times.moment,
            self._given.get("interval"),
        )
        if found.value:
            self._reasons.add("interval", found.value, found.reason)
        return found.value

    # -- currency and numbers ---------------------------------------------------------------------

    def _currency_column(self) -> Column | None:
        named = (
            column
            for column in self._columns
            if column.meaning.role == "currency"
        )
        return self._by_person.get("currency") or next(named, None)

    def _decimals(self, series: list[Series]) -> dict[int, str]:
        used = {
            position: NumberColumn(
                self._columns[position].shown, self._columns[position].stats
            )
            for each in series
            for position in each.columns.values()
        }
        marks, reason = number_formats.decimal_marks(
            self._path, self._delimiter, used, self._given.get("decimal")
        )
        if "," in marks.values():
            self._reasons.add("decimal", ",", reason)
        return marks

    def _shown(self) -> str:
        """What the file shows of its columns, for messages."""
        if self._has_header:
            names = ", ".join(column.name for column in self._columns)
            return f"the header says: {names[:MAX_SHOWN]}"
        row = (
            ", ".join(self._sample[0])[:MAX_SHOWN]
            if self._sample
            else "nothing"
        )
        return f"the file has no header, and its first row is {row}"


def _is_named(column: Column, wanted: str | int) -> bool:
    if isinstance(wanted, int):
        return column.position + 1 == wanted
    return key(column.name) == key(wanted)
