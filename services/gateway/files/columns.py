"""The columns of files: what each holds, and how SQL writes it as text."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from services.gateway.files.formats import FileFormat


class Holds(StrEnum):
    """What stands in a column."""

    TEXT = "text"
    LIST = "list"
    TIME = "time"
    DECIMAL = "decimal"
    FLOAT = "float"
    WHOLE = "whole"
    YES_OR_NO = "yes_or_no"


_NAMES = {
    Holds.LIST: "symbols",
    Holds.TIME: "timestamp created_at updated_at open_time close_time at",
    Holds.DECIMAL: (
        "price open high low close volume market_cap base_volume quote_volume"
    ),
    Holds.FLOAT: "sentiment mean share_of_feeds",
    Holds.WHOLE: (
        "revision normalizer_version seq points news scored negative neutral positive feeds"
    ),
    Holds.YES_OR_NO: "complete",
}
_HOLDS = {
    name: holds
    for holds, names in _NAMES.items()
    for name in names.split()
}
COLUMNAR = frozenset({FileFormat.PARQUET, FileFormat.ARROW})
_AS_TEXT = frozenset({Holds.TEXT, Holds.LIST, Holds.YES_OR_NO})
_ISO = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
# What a spreadsheet may take for a formula, also by signs of full width, behind blanks or signs
# that nobody sees.
_LIKE_A_FORMULA = (
    r"^[\s\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
    r"[=+\-@\u2212\ufe62\ufe63\ufe66\ufe6b\uff1d\uff0b\uff0d\uff20\t\r\n]"
)
# Of decimals in Parquet and Arrow, whose writer wraps around at some that are larger.
DIGITS_BEFORE, DIGITS_BEHIND = 20, 18
TOO_LARGE = "too large"


def held_by(name: str) -> Holds:
    """The same wherever a column of this name stands."""
    return _HOLDS.get(name, Holds.TEXT)


def shown(names: Iterable[str], form: FileFormat) -> str:
    """The expressions of columns."""
    values = {name: _value(name, form) for name in names}
    if form == FileFormat.CSV and len(values) == 1:
        # A line of nothing would be no row for most readers: `""` is one.
        values = {
            name: f"coalesce(({value})::text, '')"
            for name, value in values.items()
        }
    return ", ".join(
        f'{value} AS "{name}"' for name, value in values.items()
    )


def _value(name: str, form: FileFormat) -> str:
    holds = held_by(name)
    if holds == Holds.TIME:
        return f"to_char(\"{name}\" AT TIME ZONE 'UTC', '{_ISO}')"
    if holds == Holds.DECIMAL and form in COLUMNAR:
        fits = f'abs("{name}") < 1e{DIGITS_BEFORE} OR "{name}" IS NULL'
        return f"CASE WHEN {fits} THEN \"{name}\"::text ELSE '{TOO_LARGE}' END"
    if form == FileFormat.NDJSON or holds not in _AS_TEXT:
        return f'"{name}"'
    value = f'"{name}"::text'
    if holds == Holds.LIST:
        value = f"array_to_string(\"{name}\", ',')"
    if form == FileFormat.CSV and holds != Holds.YES_OR_NO:
        return f"CASE WHEN {value} ~ '{_LIKE_A_FORMULA}' THEN '''' || {value} ELSE {value} END"
    return value
