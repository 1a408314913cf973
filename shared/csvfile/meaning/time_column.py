"""Which column is the time of a row, how it is written, and in which zone."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from shared.csvfile.meaning import number_formats
from shared.csvfile.meaning.column_names import key, rank
from shared.csvfile.meaning.columns import Column, fullest
from shared.csvfile.meaning.evidence import Evidence
from shared.csvfile.meaning.number_formats import BY_PERSON, PLACEHOLDER
from shared.csvfile.meaning.schema import Row, TimeFormat
from shared.errors import BadValueError, UnmappableError
from shared.values.times import timestamp
from shared.values.zones import (
    read_zone,
    without_zone,
    zone_in_line,
    zone_in_name,
)

Json = dict[str, Any]
SHARE_THAT_AGREES = 0.5  # of the first rows
_CLOCK_NAMES = frozenset(
    "time zeit heure hora ora uhrzeit czas saat время 时间 시간 godzina localtime timeutc".split()
)
# Words in names of times that are another moment of the row than its own.
_OTHER_MOMENT = ("close", "end", "high", "low", "updat", "creat")
_FIRST_MOMENT = ("open", "start", "begin", "candledatetime")
_ZONE_NAMES = frozenset(
    "timezone tz timezonename utcoffset gmtoffset zeitzone fuseauhoraire zonahoraria".split()
)
_LOCAL = (
    "local",
    "lokal",
    "ortszeit",
    "eastern",
    "pacific",
    "北京",
    "мск",
)


class TimeColumns(NamedTuple):
    """The column of times, the date beside it where they are two columns, and the reason."""

    time: Column
    date: Column | None
    reason: str

    def positions(self) -> set[int]:
        found = {self.time.position}
        if self.date is not None:
            found.add(self.date.position)
        return found


class TimeFinder:
    """Finds the time of the rows."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._path = evidence.path
        self._given = evidence.given
        self._columns = evidence.columns
        self._by_person = evidence.by_person
        self._sample = evidence.sample
        self._reasons = evidence.reasons

    def find(self) -> tuple[TimeColumns, TimeFormat]:
        """Raises UnmappableError."""
        chosen = self._chosen()
        found = self._format(chosen)
        if "time" in self._by_person:
            self._check_what_a_person_said(chosen, found)
        return chosen, found

    # -- which column -----------------------------------------------------------------------------

    def _chosen(self) -> TimeColumns:
        if "time" in self._by_person:
            time = self._by_person["time"]
            self._reasons.add("time", "column", BY_PERSON, time)
            return TimeColumns(
                time, self._by_person.get("date"), BY_PERSON
            )
        found = self._by_name() or self._by_cells()
        if found is None:
            raise self._no_time()
        if found.date is None:
            self._reasons.add("time", "column", found.reason, found.time)
        else:
            self._reasons.add(
                "time", "columns", found.reason, found.date, found.time
            )
        return found

    def _by_name(self) -> TimeColumns | None:
        clocks = list(filter(_is_clock, self._columns))
        named = fullest(
            [
                column
                for column in self._columns
                if _is_named_time(column) and column not in clocks
            ]
        )
        if not named:
            return None
        best = min(named, key=_rank)
        if clocks and best.holds_days_only():
            return TimeColumns(
                clocks[0], best, "a date and a time of day"
            )
        return self._agreed(best, named)

    def _by_cells(self) -> TimeColumns | None:
        """The first column of dates, else of times; with the time of day beside it."""
        usable = [
            column
            for column in self._columns
            if column.is_useful() or self._clock_beside(column)
        ]
        for holds in (Column.holds_dates, Column.holds_times):
            for column in filter(holds, usable):
                self._refuse_twins(column, list(filter(holds, usable)))
                clock = self._clock_beside(column)
                if clock is None:
                    return TimeColumns(
                        column, None, "its cells are times"
                    )
                return TimeColumns(
                    clock, column, "a date and a time of day beside it"
                )
        return None

    def _refuse_twins(self, column: Column, others: list[Column]) -> None:
        """Raises UnmappableError for `T` beside `t`, which are other moments."""
        for other in others:
            is_twin = other is not column and (
                other.name.lower() == column.name.lower() != ""
            )
            if is_twin and self._contradict(column, other):
                raise self._contradiction(column, other)

    def _clock_beside(self, day: Column) -> Column | None:
        if not day.holds_days_only():
            return None
        beside = self._columns[day.position + 1 : day.position + 2]
        return next(filter(Column.holds_clocks_only, beside), None)

    # -- several that are named times --------------------------------------------------------------

    def _agreed(self, best: Column, named: list[Column]) -> TimeColumns:
        """The best name, unless another column of times contradicts it.

        Then the one that says itself what moment it is: an epoch, or one with a zone.
        """
        others = [
            column
            for column in named
            if column is not best and self._contradict(best, column)
        ]
        certain = list(filter(_is_certain, [best, *others]))
        if not others:
            return TimeColumns(best, None, "its name and its cells")
        if len(certain) != 1:
            raise self._contradiction(best, others[0])
        other = next(
            each for each in (best, *others) if each not in certain
        )
        reason = f"it says its zone, and contradicts {other.shown!r}"
        return TimeColumns(certain[0], None, reason)

    def _contradict(self, best: Column, other: Column) -> bool:
        if _has_word(best, _FIRST_MOMENT) or _has_word(
            other, _OTHER_MOMENT
        ):
            return False
        pairs = [
            (one, two)
            for row in self._sample
            if (one := _moment(best, row))
            and (two := _moment(other, row))
        ]
        are_days = best.holds_days_only() or other.holds_days_only()
        equal = sum(_is_same(one, two, are_days) for one, two in pairs)
        return equal < SHARE_THAT_AGREES * len(pairs)

    def _contradiction(
        self, best: Column, other: Column
    ) -> UnmappableError:
        what = (
            f"the times in columns {best.shown!r} and {other.shown!r} contradict each other. Say "
            "which one counts"
        )
        wanted = self._evidence.reference(best)
        columns = (
            f"{{time: {wanted}}}   # or {self._evidence.reference(other)}"
        )
        return self._evidence.refusal(
            "ambiguous_time", "time", what, columns=columns
        )

    # -- how it is written -------------------------------------------------------------------------

    def _format(self, chosen: TimeColumns) -> TimeFormat:
        column = chosen.date or chosen.time
        order = number_formats.date_order(
            self._path,
            column.shown,
            column.stats,
            self._given.get("dates"),
        )
        if order.value:
            self._reasons.add("dates", order.value, order.reason, column)
        return TimeFormat(
            time=chosen.time.position,
            date=chosen.date.position if chosen.date else None,
            order=order.value,
            zone=self._zone(chosen),
            is_excel=chosen.date is None and chosen.time.is_excel(),
            of=_end_named(column.name),
        )

    def _zone(self, chosen: TimeColumns) -> tzinfo | None:
        given = self._given.get("timezone")
        if given:
            self._reasons.add("timezone", given, BY_PERSON)
            return ZoneInfo(given)
        for column in filter(None, (chosen.time, chosen.date)):
            named = zone_in_name(column.name)
            if named is not None and not column.holds_moments():
                self._reasons.add(
                    "timezone", named, "the column's name", column
                )
                return self._known_zone(named, column)
        said = self._zone_beside(chosen)
        if said is not None:
            return said
        if self._is_local(chosen.time):
            raise self._unknown_zone(chosen.time, "local time")
        return None

    def _zone_beside(self, chosen: TimeColumns) -> tzinfo | None:
        """What a column of zones, or a line above the header, says of times that say none."""
        if chosen.time.holds_moments():
            return None
        for column in self._columns:
            if key(column.name) not in _ZONE_NAMES or column.is_empty():
                continue
            values = {each.strip() for each in column.values()} - {""}
            if len(values) != 1 or not column.is_constant():
                raise self._unknown_zone(column, "several time zones")
            (named,) = values
            self._reasons.add("timezone", named, "its cells", column)
            return self._known_zone(named, column)
        for line in self._evidence.preamble:
            named = zone_in_line(line) or ""
            if named:
                self._reasons.add(
                    "timezone", named, "a line above the header"
                )
                return self._known_zone(named, chosen.time)
        return None

    def _known_zone(self, named: str, column: Column) -> tzinfo:
        try:
            return read_zone(named)
        except ValueError:
            raise self._unknown_zone(column, named) from None

    def _is_local(self, column: Column) -> bool:
        return _has_word(column, _LOCAL) and not column.holds_moments()

    def _unknown_zone(
        self, column: Column, named: str
    ) -> UnmappableError:
        what = f"column {column.shown!r} says {named}, which may be one of several time zones"
        zone = f"{PLACEHOLDER}   # such as Europe/Berlin or UTC"
        return self._evidence.refusal(
            "unknown_zone", "time", what, timezone=zone
        )

    # -- refusals ---------------------------------------------------------------------------------

    def _check_what_a_person_said(
        self, chosen: TimeColumns, found: TimeFormat
    ) -> None:
        errors = list(filter(None, map(found.unreadable, self._sample)))
        if errors and len(errors) == len(self._sample):
            what = (
                f"that time is column {chosen.time.shown!r}, whose first cells are no times: "
                f"{errors[0]}"
            )
            raise self._evidence.bad_mapping("time", what)

    def _no_time(self) -> UnmappableError:
        clock = next(filter(_may_be_clock, self._columns), None)
        if clock is not None:
            return self._no_date(clock)
        what = (
            f"no column is a time (date, time, timestamp …); {self._evidence.shown()}. Say which "
            "one is"
        )
        likely = _likely_time(self._columns)
        columns = f"{{time: {likely}}}   # a name, or a number from 1"
        return self._evidence.refusal(
            "unknown_columns", "time", what, columns=columns
        )

    def _no_date(self, clock: Column) -> UnmappableError:
        what = (
            f"column {clock.shown!r} seems to be a time of day, and no column is its date. Export "
            "the file with dates, or leave it out"
        )
        return self._evidence.refusal(
            "no_date", "time", what, ignore="true"
        )


def _rank(column: Column) -> int:
    return rank(without_zone(column.name))


def _is_clock(column: Column) -> bool:
    """Whether it is a time of day by its name, and may be one by its cells."""
    return (
        key(without_zone(column.name)) in _CLOCK_NAMES
        and column.holds_clocks()
        and not column.is_excel()
    )


def _may_be_clock(column: Column) -> bool:
    """Also the first column of a file without a header, where it counts up to six digits."""
    is_first = not column.name and not column.position
    return (
        column.holds_clocks_only()
        or _is_clock(column)
        or (is_first and column.holds_clocks())
    )


def _is_named_time(column: Column) -> bool:
    return column.meaning.role == "time" and column.holds_times()


def _has_word(column: Column, words: tuple[str, ...]) -> bool:
    name = key(column.name)
    return any(word in name for word in words)


def _is_certain(column: Column) -> bool:
    """Whether it says itself what moment it is."""
    return column.holds_moments() or zone_in_name(column.name) is not None


def _moment(column: Column, row: Row) -> datetime | None:
    """A row's time by this column; None where it cannot be read for certain."""
    named = zone_in_name(column.name)
    try:
        zone = read_zone(named) if named else None
        return timestamp("time", row[column.position], None, zone)
    except (BadValueError, ValueError, IndexError):
        return None


def _is_same(one: datetime, two: datetime, are_days: bool) -> bool:  # noqa: FBT001
    return one.date() == two.date() if are_days else one == two


def _likely_time(columns: list[Column]) -> int | str:
    """The number of the one column that is neither numbers nor symbols, else a placeholder."""
    likely = [
        column.position + 1
        for column in columns
        if not column.is_empty()
        and not column.holds_numbers()
        and not column.holds_symbols()
    ]
    return likely[0] if len(likely) == 1 else PLACEHOLDER


def _end_named(name: str) -> str | None:
    """The end of a candle that a column's name says, as in `Open time` and `timeClose`."""
    found = [end for end in ("open", "close") if end in name.lower()]
    return found[0] if len(found) == 1 else None
