"""Writes the answers of queries to its output in one of the forms, and ends.

Run by `export.py`, which tells what to do on the input. PostgreSQL sends rows as they come (COPY);
what does not fit, such as a number of more digits than Parquet holds here, ends it with an error.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import asyncpg

from services.gateway.files.columns import (
    COLUMNAR,
    DIGITS_BEFORE,
    DIGITS_BEHIND,
    Holds,
    held_by,
)
from services.gateway.files.formats import FileFormat

TIMEOUT_S = 3_600
BLOCK_BYTES = 1 << 18
OUT = 1
UNFIT = 3  # the exit code where a value does not fit into the form
NULL = r"\N"  # of what becomes columns; a text like it is quoted
ROWS_OF_GROUP = 10_000
_SETTINGS = {
    "statement_timeout": str(TIMEOUT_S * 1000),
    # A query that writes nothing for long ends too when the gateway has gone.
    "client_connection_check_interval": "2s",
    "timezone": "UTC",
    "application_name": "gateway-file",
    "default_transaction_read_only": "on",
    "max_parallel_workers_per_gather": "0",
    "enable_seqscan": "off",
}
# Of one query for all rows.
_SETTINGS_OF_ONE = {
    **_SETTINGS,
    # Rows come in the order of an index, not after all have been sorted.
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}


Query = tuple[str, list[Any]]


@dataclass(frozen=True)
class Task:
    """What comes first on the input; queries of rows with these columns follow, then None.

    `is_in_pieces`: each query has few rows, which PostgreSQL may sort and join as it likes.
    """

    form: FileFormat
    columns: tuple[str, ...]
    dsn: str
    is_in_pieces: bool


def main() -> int:
    """The exit code. The process ends without ado: no writer may end its file after an error."""
    try:
        asyncio.run(_write(_read()))
    except BrokenPipeError:
        return 1
    except (
        ValueError
    ) as error:  # of pyarrow: a value that a column cannot hold
        return _said(error, UNFIT)
    except Exception as error:  # noqa: BLE001  told in a line
        return _said(error, 1)
    return 0


def _said(error: Exception, code: int) -> int:
    sys.stderr.write(f"{type(error).__name__}: {error}\n")
    sys.stderr.flush()
    return code


def _read() -> Any:
    """Raises EOFError where the input ends too early, so that no file looks complete."""
    return pickle.load(sys.stdin.buffer)  # noqa: S301  from this program alone


def _queries() -> Iterator[tuple[int, Query]]:
    """With their numbers."""
    return enumerate(iter(_read, None))


async def _write(task: Task) -> None:
    if task.form not in COLUMNAR:
        await _copy(task, OUT)
        return
    source, sink = os.pipe()
    failed: list[BaseException] = []
    is_whole = threading.Event()

    def convert() -> None:
        try:
            with os.fdopen(source, "rb") as file:
                _columnar(task, file, is_whole)
        except BaseException as error:  # noqa: BLE001  raised below
            failed.append(error)

    thread = threading.Thread(target=convert)
    thread.start()
    try:
        await _copy(task, sink)
        is_whole.set()
    except BrokenPipeError:
        pass  # the reason is in `failed`
    finally:
        os.close(sink)
        await asyncio.to_thread(thread.join)
    if failed:
        raise failed[0]


async def _copy(task: Task, output: int) -> None:
    async def write(part: bytes) -> None:
        await asyncio.to_thread(_write_all, output, part)

    settings = _SETTINGS if task.is_in_pieces else _SETTINGS_OF_ONE
    connection = await asyncpg.connect(task.dsn, server_settings=settings)
    try:
        # All of one moment, however many queries it takes.
        async with connection.transaction(isolation="repeatable_read"):
            for number, (query, arguments) in _queries():
                await connection.copy_from_query(
                    _as_written(task.form, query),
                    *arguments,
                    output=write,
                    format="csv",
                    **_options(task.form, is_first=number == 0),
                )
    finally:
        connection.terminate()


def _as_written(form: FileFormat, query: str) -> str:
    if form == FileFormat.NDJSON:
        return (
            f"SELECT row_to_json(row_of)::text FROM ({query}) AS row_of"
        )
    return query


def _options(form: FileFormat, *, is_first: bool) -> dict[str, Any]:
    """Of COPY."""
    if form == FileFormat.NDJSON:
        # Signs that JSON never holds, so that nothing is quoted.
        return {"delimiter": "\x02", "quote": "\x01"}
    if form == FileFormat.CSV:
        return {"header": is_first}
    return {"header": is_first, "null": NULL}


def _write_all(output: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(output, view) :]


def _columnar(
    task: Task, source: IO[bytes], is_whole: threading.Event
) -> None:
    """CSV from a pipe as Parquet or Arrow to the output.

    `is_whole`: set when all of it is in the pipe. What ends without it gets no end that a reader
    would take for one.
    """
    # Only these forms need it, and it takes 60 MB.
    import pyarrow as pa
    from pyarrow import csv, ipc, parquet

    types = {name: _type(pa, name) for name in task.columns}
    reader = csv.open_csv(
        pa.PythonFile(source, mode="r"),
        read_options=csv.ReadOptions(
            block_size=BLOCK_BYTES, use_threads=False
        ),
        parse_options=csv.ParseOptions(
            newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=csv.ConvertOptions(
            column_types=types,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[NULL],
        ),
    )
    sink = pa.PythonFile(os.fdopen(OUT, "wb", closefd=False), mode="w")
    writer: Any
    if task.form == FileFormat.PARQUET:
        writer = parquet.ParquetWriter(sink, reader.schema)
    else:
        writer = ipc.new_file(sink, reader.schema)
    for group in _groups(reader):
        writer.write_table(pa.Table.from_batches(group))
    if not is_whole.is_set():
        raise EOFError("the database's answer ended too early")
    writer.close()
    sink.flush()


def _groups(reader: Any) -> Iterator[list[Any]]:
    """Batches of about ROWS_OF_GROUP rows together: each group has a place in the file's end."""
    group: list[Any] = []
    rows = 0
    for batch in reader:
        group.append(batch)
        rows += batch.num_rows
        if rows >= ROWS_OF_GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _type(pa: Any, name: str) -> Any:
    match held_by(name):
        case Holds.TIME:
            return pa.timestamp("us", "UTC")
        case Holds.DECIMAL:
            digits = DIGITS_BEFORE + DIGITS_BEHIND
            return pa.decimal128(digits, DIGITS_BEHIND)
        case Holds.FLOAT:
            return pa.float64()
        case Holds.WHOLE:
            return pa.int64()
        case Holds.YES_OR_NO:
            return pa.bool_()
        case _:
            return pa.string()


if __name__ == "__main__":
    os._exit(main())
