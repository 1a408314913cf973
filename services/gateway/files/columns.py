"""The columns of a file of data points, as SQL writes them as text."""

from __future__ import annotations

from services.gateway.files.formats import FileFormat

TIMES = frozenset({"timestamp", "created_at", "updated_at"})
DECIMALS = frozenset(
    {
        "price",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "market_cap",
        "base_volume",
        "quote_volume",
    }
)
FLOATS = frozenset({"sentiment"})
WHOLE = frozenset({"revision", "normalizer_version"})
_ISO = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
# What a spreadsheet may take for a formula, also by signs of full width, behind blanks.
_LIKE_A_FORMULA = r"^[\s]*[=+\-@\uff1d\uff0b\uff0d\uff20\t\r\n]"


def shown(name: str, form: FileFormat) -> str:
    """The expression of a column."""
    if name in TIMES:
        return f"to_char(\"{name}\" AT TIME ZONE 'UTC', '{_ISO}') AS \"{name}\""
    if name in DECIMALS | FLOATS | WHOLE or form == FileFormat.NDJSON:
        return f'"{name}"'
    value = f'"{name}"::text'
    if name == "symbols":
        value = "array_to_string(symbols, ',')"
    if form == FileFormat.CSV:
        value = f"CASE WHEN {value} ~ '{_LIKE_A_FORMULA}' THEN '''' || {value} ELSE {value} END"
    return f'{value} AS "{name}"'
