"""The version rule in SQL: which of two values of a data point stands.

A value's version is (place of its raw page, offset, mapping version, record index); the greater one
stands. The place (`raw_time`) is given when a page is first loaded: generation, time and partition
in one number (`services/loader/pages/stamps.py`). Pages that older releases loaded have the plain
time of the broker in milliseconds there, which is less than any place.

A retired value gives way to any that was made by the same mapping version or a later one; one that
a later reading of its file retired (record `OF_LATER_READING`, with the version of that reading)
only to a greater version. The loader's statements and the gateway's previews are put together from
this.
"""

from __future__ import annotations

_TIME_BITS = 42  # of milliseconds: until 2109
_PARTITION_BITS = 9
MAX_GENERATION = 4095
OF_PAGE = ("raw_time", "raw_offset", "normalizer_version")
OF_RECORD = "record_index"
OF_LATER_READING = -1


def place_of(generation: int, time_ms: int, partition: int) -> int:
    """The place of a page in the order of versions, as a number of 63 bits."""
    time_bits = min(time_ms, (1 << _TIME_BITS) - 1) << _PARTITION_BITS
    return (
        generation << (_TIME_BITS + _PARTITION_BITS)
        | time_bits
        | partition % (1 << _PARTITION_BITS)
    )


def with_time(place: int, time_ms: int) -> int:
    """A place with another time, of the same generation and partition."""
    generation = place >> (_TIME_BITS + _PARTITION_BITS)
    return place_of(generation, time_ms, place)


def version(table: str, records: str | None = None) -> str:
    """The version of a row. `records`: the table with the record's index, where it is another."""
    columns = [f"{table}.{column}" for column in OF_PAGE]
    return f"({', '.join(columns)}, {records or table}.{OF_RECORD})"


def is_older(stored: str, new: str) -> str:
    """Whether a stored row is of an older version than a new one."""
    return f"{version(stored)} < {version(new)}"


def is_revived(stored: str, new: str) -> str:
    """Whether a stored row is retired, and the new one's mapping may bring it back."""
    is_as_good = (
        f"{stored}.normalizer_version <= {new}.normalizer_version"
    )
    is_by_mapping = f"{stored}.{OF_RECORD} <> {OF_LATER_READING}"
    return f"({stored}.retired_at IS NOT NULL AND {is_as_good} AND {is_by_mapping})"


def gives_way(stored: str, new: str) -> str:
    """Whether a stored row is overwritten by a new one."""
    return f"({is_older(stored, new)} OR {is_revived(stored, new)})"


def order_newest_first() -> str:
    """The columns of a version, for ORDER BY."""
    return ", ".join(f"{column} DESC" for column in (*OF_PAGE, OF_RECORD))


def stored(id_: str) -> str:
    """SQL: the data point with an id that another table has, for a LATERAL join.

    `OFFSET 0` keeps it a search by index in the one partition that the id lies in: PostgreSQL does
    not foresee that, and would sooner read all partitions.
    """
    return f"SELECT * FROM unified_data AS by_id WHERE by_id.id = {id_} OFFSET 0"
