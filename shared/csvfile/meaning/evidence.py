"""What a file shows of itself, and what a person says about it: all that is concluded from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from shared.csvfile.column_stats import stats_of_rows
from shared.csvfile.meaning.column_names import key
from shared.csvfile.meaning.columns import Column, Reasons, read_columns
from shared.csvfile.meaning.number_formats import (
    PLACEHOLDER,
    ROLES,
    mapping_hint,
    quoted,
)
from shared.errors import UnmappableError

Json = dict[str, Any]
Row = list[str]
MAX_SHOWN = 200  # characters of a header or row in a message


@dataclass
class Evidence:
    """A page's context, taken apart. `reasons` grows with what is concluded.

    `path`: as the API names it. `names`: the name of the file, of a zip's member first, then its
    folders, nearest first. `columns`: without those that a person left out. `by_person`: columns by
    the role that a person gave them. `closed_roles`: those that no column may have.
    """

    path: str
    names: list[str]
    given: Json
    delimiter: str
    preamble: list[str]
    stats: Json
    sample: list[Row]
    width: int
    columns: list[Column]
    has_header: bool
    by_person: dict[str, Column] = field(default_factory=dict)
    closed_roles: frozenset[str] = frozenset()
    reasons: Reasons = field(default_factory=Reasons)

    def column_at(self, position: int) -> Column:
        return next(
            each for each in self.columns if each.position == position
        )

    def reference(self, column: Column) -> str:
        """How a line of mapping.yaml names a column: its name, else its number."""
        own = key(column.name)
        namesakes = [
            each for each in self.columns if key(each.name) == own
        ]
        is_name = column.name.isprintable() and len(namesakes) == 1
        return (
            quoted(column.name)
            if own and is_name
            else str(column.position + 1)
        )

    def shown(self) -> str:
        """What the file shows of its columns, for messages."""
        if self.has_header:
            names = ", ".join(column.name for column in self.columns)
            return f"the header says: {names[:MAX_SHOWN]}"
        row = ", ".join(self.sample[0]) if self.sample else "nothing"
        return f"the file has no header, and its first row is {row[:MAX_SHOWN]}"

    def refusal(
        self, reason: str, field: str, what: str, **lines: object
    ) -> UnmappableError:
        """A refusal that ends in the lines for mapping.yaml that settle it."""
        hint = mapping_hint(self.path, f"{self.path}: {what}", **lines)
        return UnmappableError(reason, hint, field)

    def bad_mapping(self, field: str, what: str) -> UnmappableError:
        message = f"{self.path}: mapping.yaml says {what}"
        return UnmappableError("bad_mapping", message, field)


def read_evidence(context: Json) -> Evidence:
    """Raises UnmappableError `bad_mapping` where a person names what is not there."""
    path = str(context.get("path", ""))
    given: Json = context.get("mapping") or {}
    rows: list[Row] = context.get("sample") or []
    width = len(context.get("columns") or (rows[0] if rows else ()))
    # Pages of an older release have the first rows only.
    stats = context.get("evidence") or stats_of_rows(rows, width)
    columns = read_columns(context, stats)
    evidence = Evidence(
        path=path,
        names=_names(path, context.get("member")),
        given=given,
        delimiter=str(context.get("delimiter", ",")),
        preamble=context.get("preamble") or [],
        stats=stats,
        sample=[row for row in rows if len(row) == len(columns)],
        width=len(columns),
        columns=columns,
        has_header=bool(context.get("columns")),
    )
    _apply_columns_by_person(evidence)
    return evidence


def _names(path: str, member: str | None) -> list[str]:
    parts = [
        *PurePosixPath(path).parts,
        *PurePosixPath(member or "").parts,
    ]
    return list(reversed(parts))


def _apply_columns_by_person(evidence: Evidence) -> None:
    """Columns that the mapping file names, by name or by number from 1; `null` leaves one out."""
    wanted: dict[str, Any] = evidence.given.get("columns") or {}
    closed = [role for role, name in wanted.items() if name is None]
    for role, name in wanted.items():
        if name is not None:
            evidence.by_person[role] = _named(evidence, role, name)
    evidence.closed_roles = frozenset(closed)
    _leave_out(evidence, closed)
    _refuse_what_cannot_be(evidence)


def _leave_out(evidence: Evidence, names: list[str]) -> None:
    """Without the columns of these names, except where they have a role."""
    left_out: list[Column] = []
    for name in names:
        left_out += _left_out(evidence, name)
    taken = evidence.by_person.values()
    evidence.columns = [
        column
        for column in evidence.columns
        if column not in left_out or column in taken
    ]


def _left_out(evidence: Evidence, name: str) -> list[Column]:
    found = [each for each in evidence.columns if _is_named(each, name)]
    if not found and name not in ROLES:
        what = f"to leave out column {name!r}, which is not there"
        raise evidence.bad_mapping(name, what)
    return found


_AS_NUMBERS = frozenset(
    ("open", "high", "low", "close", "price", "volume", "market_cap")
)
_AS_WORDS = frozenset(("symbol", "currency"))


def _named(evidence: Evidence, role: str, wanted: str | int) -> Column:
    for column in evidence.columns:
        if _is_named(column, wanted):
            return column
    if wanted == PLACEHOLDER:
        what = f"`{PLACEHOLDER}` for {role}: write the column’s name or number in its place"
        raise evidence.bad_mapping(role, what)
    raise evidence.bad_mapping(
        role, f"that {role} is column {wanted!r}, which is not there"
    )


def _is_named(column: Column, wanted: str | int) -> bool:
    if isinstance(wanted, int):
        return column.position + 1 == wanted
    return key(column.name) == key(wanted)


def _refuse_what_cannot_be(evidence: Evidence) -> None:
    """Raises UnmappableError `bad_mapping` for what contradicts itself or the cells."""
    roles: dict[int, str] = {}
    for role, column in evidence.by_person.items():
        other = roles.setdefault(column.position, role)
        if other != role:
            what = (
                f"that column {column.shown!r} is both {other} and {role}"
            )
            raise evidence.bad_mapping(role, what)
        _refuse_cells(evidence, role, column)
    for name in sorted(_AS_WORDS & evidence.by_person.keys()):
        if evidence.given.get(name):
            what = (
                f"both a {name} and a column of it: leave one of them out"
            )
            raise evidence.bad_mapping(name, what)


def _refuse_cells(evidence: Evidence, role: str, column: Column) -> None:
    lacking = None
    if role in _AS_NUMBERS and not column.holds_numbers():
        lacking = "numbers"
    if role in _AS_WORDS and _holds_values(column):
        lacking = f"{role}s"
    if lacking is not None:
        cells = ", ".join(column.sample[:3])[:MAX_SHOWN]
        what = f"that {role} is column {column.shown!r}, which holds no {lacking}: {cells}"
        raise evidence.bad_mapping(role, what)


def _holds_values(column: Column) -> bool:
    return column.holds_numbers() or column.holds_times()
