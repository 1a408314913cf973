"""CSV files in syntax only: rows, pages, and where a file is resumed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import zipfile
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import zstandard
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from services.extractor.sources.base import Slice, StreamInfo
from services.extractor.sources.csv_files import reader as csv_source
from services.extractor.sources.csv_files.source import CsvFiles
from shared.csvfile.profile import Profiled, profiled
from shared.errors import TaskError
from shared.runtime.confined import unmetered

HEADER = "date,open,high,low,close\n"


@pytest.fixture(autouse=True)
def syntax_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What columns mean is tested elsewhere; here their cells are anything."""
    monkeypatch.setattr(CsvFiles, "_look", staticmethod(look_here))
    monkeypatch.setattr(
        "shared.csvfile.profile.infer_schema",
        lambda _context: SimpleNamespace(
            times=SimpleNamespace(is_plain=False),
            described=dict,
            series=[],
            width=0,
        ),
    )


def look_here(*asked: Any) -> Profiled | None:
    """Without a child process, in which nothing is replaced."""
    return next(profiled(unmetered, *asked))


def read(root: Path, name: str, cursor: Any = None) -> list[Slice]:
    async def collect() -> list[Slice]:
        found = [
            piece
            async for piece in CsvFiles(root).fetch(
                StreamInfo(f"csv/{name}", "x"), cursor
            )
        ]
        return [
            piece for piece in found if not piece.profile or piece.note
        ]

    return asyncio.run(collect())


def rows(slices: list[Slice]) -> list[list[str]]:
    return [row for piece in slices for row in piece.records]


def write(root: Path, content: str | bytes, name: str = "btc.csv") -> str:
    (root / name).write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    return name


def test_rows_are_lists_of_texts_and_the_header_is_context(
    tmp_path: Path,
) -> None:
    (piece,) = read(
        tmp_path, write(tmp_path, HEADER + "2024-01-01,1,2,3,4\n")
    )
    assert piece.records == [["2024-01-01", "1", "2", "3", "4"]]
    assert piece.context["columns"] == [
        "date",
        "open",
        "high",
        "low",
        "close",
    ]
    assert piece.origin == {
        "path": "btc.csv",
        "bytes": [25, 44],
        "sha256": hashlib.sha256(b"2024-01-01,1,2,3,4\n").hexdigest(),
        "first_row": 1,
        "first_line": 2,
    }


def test_pages_hold_at_most_1000_records(tmp_path: Path) -> None:
    slices = read(
        tmp_path, write(tmp_path, HEADER + "a,b,c,d,e\n" * 2201)
    )
    assert [len(piece.records) for piece in slices] == [1000, 1000, 201]


@pytest.mark.parametrize(
    "preamble",
    [
        "https://www.CryptoDataDownload.com\n",
        "Created on 10-17-2019,https://x\n",
        "\n\n",
    ],
)
def test_lines_above_the_header_are_no_header(
    tmp_path: Path, preamble: str
) -> None:
    (piece,) = read(
        tmp_path, write(tmp_path, preamble + HEADER + "1,2,3,4,5\n")
    )
    assert piece.context["columns"] == [
        "date",
        "open",
        "high",
        "low",
        "close",
    ]
    assert piece.records == [["1", "2", "3", "4", "5"]]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffdate;price\n1;2\n",
        "date;price\r\n1;2\r\n",
        'date;price\n"1";"2"',
        "date;price\n1;2\n\n\n",
    ],
)
def test_marks_line_ends_quotes_and_blank_lines_are_no_data(
    tmp_path: Path, content: str
) -> None:
    (piece,) = read(tmp_path, write(tmp_path, content))
    assert (piece.context["columns"], piece.records) == (
        ["date", "price"],
        [["1", "2"]],
    )


def test_a_row_may_go_on_over_lines_inside_quotes(tmp_path: Path) -> None:
    (piece,) = read(
        tmp_path, write(tmp_path, 'date,note\n1,"two\nlines"\n2,plain\n')
    )
    assert piece.records == [["1", "two\nlines"], ["2", "plain"]]
    assert piece.origin["lines"] == [2, 4]


def test_an_unclosed_quote_costs_one_row_and_not_its_neighbours(
    tmp_path: Path,
) -> None:
    (piece,) = read(
        tmp_path, write(tmp_path, 'date,price\n1,"2\n' + "3,4\n" * 300)
    )
    assert len(piece.records) == 300
    assert [(r.reason, r.origin) for r in piece.rejections] == [
        ("unclosed_quote", {"line": 2})
    ]


def test_a_line_without_end_is_cut_and_rejected(tmp_path: Path) -> None:
    name = write(
        tmp_path, b"date,price\n1,2\n" + b"x" * 3_000_000 + b"\n3,4\n"
    )
    slices = read(tmp_path, name)
    assert rows(slices) == [["1", "2"], ["3", "4"]]
    assert [
        (r.reason, r.origin) for piece in slices for r in piece.rejections
    ] == [("line_too_long", {"line": 3})]
    assert rows(read(tmp_path, name, slices[-1].cursor_after)) == []


@pytest.mark.parametrize(
    "encoding",
    ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "utf-8-sig"],
)
def test_encodings_are_seen(tmp_path: Path, encoding: str) -> None:
    assert rows(
        read(
            tmp_path,
            write(tmp_path, "date,Börse\n1,é\n2,b\n".encode(encoding)),
        )
    ) == [
        ["1", "é"],
        ["2", "b"],
    ]


def test_an_encoding_that_only_shows_late_is_seen(tmp_path: Path) -> None:
    body = "date,note\n" + "1,plain\n" * 60_000
    assert rows(
        read(
            tmp_path, write(tmp_path, (body + "2,é\n").encode("latin-1"))
        )
    )[-1] == [
        "2",
        "é",
    ]
    assert rows(
        read(tmp_path, write(tmp_path, (body + "2,é\n").encode()))
    )[-1] == ["2", "é"]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_line_ends_of_all_kinds(tmp_path: Path, end: str) -> None:
    assert rows(
        read(
            tmp_path, write(tmp_path, end.join(["a,b", "1,2", "3,4", ""]))
        )
    ) == [
        ["1", "2"],
        ["3", "4"],
    ]


def test_line_ends_of_two_kinds_in_one_file(tmp_path: Path) -> None:
    assert rows(
        read(tmp_path, write(tmp_path, "a,b\r\n1,2\r3,4\n5,6"))
    ) == [
        ["1", "2"],
        ["3", "4"],
        ["5", "6"],
    ]


def packed(root: Path, kind: str, content: bytes) -> str:
    if kind == "zip":
        with zipfile.ZipFile(
            root / "btc.zip", "w", zipfile.ZIP_DEFLATED
        ) as archive:
            archive.writestr("btc.csv", content)
        return "btc.zip"
    compress = (
        gzip.compress
        if kind == "gz"
        else zstandard.ZstdCompressor().compress
    )
    return write(root, compress(content), f"btc.csv.{kind}")


@pytest.mark.parametrize("kind", ["gz", "zip", "zst"])
def test_compressed_files_are_read_and_resumed(
    tmp_path: Path, kind: str
) -> None:
    name = packed(tmp_path, kind, b"a,b\n1,2\n3,4\n")
    slices = read(tmp_path, name)
    assert rows(slices) == [["1", "2"], ["3", "4"]]
    packed(tmp_path, kind, b"a,b\n1,2\n3,4\n5,6\n")
    assert rows(read(tmp_path, name, slices[-1].cursor_after)) == [
        ["5", "6"]
    ]


@pytest.mark.parametrize("kind", ["gz", "zip", "zst"])
def test_broken_archives_say_so(tmp_path: Path, kind: str) -> None:
    name = packed(tmp_path, kind, b"a,b\n" + b"1,2\n" * 1000)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(TaskError) as caught:
        read(tmp_path, name)
    assert caught.value.code == "bad_archive"


def test_a_bomb_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.csvfile.content.RATIO_FROM", 1 << 20)
    with gzip.open(tmp_path / "btc.csv.gz", "wb") as file:
        for _ in range(4):
            file.write(b"1,2\n" * (1 << 18))
    with pytest.raises(TaskError) as caught:
        read(tmp_path, "btc.csv.gz")
    assert caught.value.code == "limit_exceeded"


@pytest.mark.parametrize(
    "content",
    [
        "<html>\n<body>\nnot found\n</body>\n",
        "x" * 400_000,
        "price\n1\n2\n",
    ],
)
def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, content: str
) -> None:
    with pytest.raises(TaskError) as caught:
        read(tmp_path, write(tmp_path, content))
    assert caught.value.code == "not_a_table"


def test_each_file_of_an_archive_is_a_stream(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "coins.zip", "w") as archive:
        for name in ("btc.csv", "more/eth.csv", "readme.txt"):
            archive.writestr(name, f"a,b\n{len(name)},2\n3,4\n")
    found = asyncio.run(CsvFiles(tmp_path).streams())
    assert [(info.stream, info.dataset) for info in found] == [
        ("csv/coins.zip/btc.csv", "coins"),
        ("csv/coins.zip/more/eth.csv", "coins"),
    ]
    assert rows(read(tmp_path, "coins.zip/more/eth.csv")) == [
        ["12", "2"],
        ["3", "4"],
    ]


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../x.csv",
        "a\x00.csv",
        "link.csv",
    ],
)
def test_nothing_outside_the_folder_is_opened(
    tmp_path: Path, path: str
) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "link.csv").symlink_to("/etc/passwd")
    with pytest.raises(TaskError) as caught:
        read(tmp_path / "csv", path)
    assert caught.value.code == "outside_folder"


def test_another_mapping_means_reading_again(tmp_path: Path) -> None:
    name = write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,2\n")
    cursor = read(tmp_path, name)[-1].cursor_after
    (tmp_path / "mapping.yaml").write_text(
        "files:\n  - {file: '*.csv', symbol: eth}\n"
    )
    note, *slices = read(tmp_path, name, cursor)
    assert "mapping.yaml" in (note.note or "")
    assert len(rows(slices)) == 2
    assert slices[-1].context["mapping"] == {"symbol": "eth"}


@pytest.mark.parametrize(
    "text",
    [
        "files: [",
        "files: 3",
        "files:\n  - {file: a.csv, decimals: ','}",
        "files:\n  - {timezone: Mars}",
        "- 1",
    ],
)
def test_a_mapping_file_that_is_wrong_is_refused(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "mapping.yaml").write_text(text)
    with pytest.raises(TaskError, match=r"mapping\.yaml") as caught:
        read(tmp_path, write(tmp_path, HEADER + "1,1,1,1,1\n"))
    assert caught.value.code == "bad_mapping"


@pytest.mark.parametrize("content", ["", "\n\n", HEADER])
def test_a_file_without_rows_yields_no_page(
    tmp_path: Path, content: str
) -> None:
    slices = read(tmp_path, write(tmp_path, content))
    assert all(
        not piece.records and not piece.rejections for piece in slices
    )
    write(
        tmp_path,
        content
        + (HEADER if content.strip() == "" else "")
        + "1,2,3,4,5\n",
    )
    assert rows(read(tmp_path, "btc.csv", slices[-1].cursor_after)) == [
        ["1", "2", "3", "4", "5"]
    ]


def test_a_file_that_grew_yields_what_is_new(tmp_path: Path) -> None:
    old = HEADER + "1,1,1,1,1\n2,2,2,2,2\n"
    name = write(tmp_path, old)
    cursor = read(tmp_path, name)[-1].cursor_after
    write(tmp_path, old + "3,3,3,3,3\n")
    (piece,) = read(tmp_path, name, cursor)
    assert piece.records == [["3", "3", "3", "3", "3"]]
    assert (piece.origin["first_row"], piece.origin["first_line"]) == (
        3,
        4,
    )
    assert (
        len(piece.context["sample"]) == 2
    )  # the profile of the first reading


def test_a_file_that_had_one_row_only_is_profiled_anew_when_it_grows(
    tmp_path: Path,
) -> None:
    name = write(tmp_path, HEADER + "1,1,1,1,1\n")
    cursor = read(tmp_path, name)[-1].cursor_after
    write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,2\n")
    note, piece = read(tmp_path, name, cursor)
    assert "learn more" in (note.note or "")
    assert len(piece.records) == len(piece.context["sample"]) == 2


def test_an_unfinished_last_row_is_remembered_over_runs_that_find_nothing(
    tmp_path: Path,
) -> None:
    name = write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,42")
    cursor = read(tmp_path, name)[-1].cursor_after
    for _ in range(2):
        cursor = read(tmp_path, name, cursor)[-1].cursor_after
    write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,42000\n")
    assert rows(read(tmp_path, name, cursor)) == [
        ["2", "2", "2", "2", "42000"]
    ]


def test_quotes_inside_cells_do_not_swallow_rows(tmp_path: Path) -> None:
    body = ['1,2,6" screen', *["3,4,x"] * 18, '5,6,5" x']
    assert (
        len(
            rows(
                read(
                    tmp_path,
                    write(
                        tmp_path,
                        "date,price,note\n" + "\n".join(body) + "\n",
                    ),
                )
            )
        )
        == 20
    )


def test_a_short_first_row_does_not_hide_the_header(
    tmp_path: Path,
) -> None:
    (piece,) = read(
        tmp_path, write(tmp_path, HEADER + "1,2,3\n" + "1,2,3,4,5\n" * 5)
    )
    assert piece.context["columns"] == [
        "date",
        "open",
        "high",
        "low",
        "close",
    ]
    assert len(piece.records) == 6


def test_a_link_to_itself_is_no_stream(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    assert asyncio.run(CsvFiles(tmp_path).streams()) == []


def test_a_last_row_that_was_not_closed_is_read_again_when_it_grew(
    tmp_path: Path,
) -> None:
    name = write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,2")
    cursor = read(tmp_path, name)[-1].cursor_after
    assert rows(read(tmp_path, name, cursor)) == []
    write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,234\n3,3,3,3,3\n")
    assert rows(read(tmp_path, name, cursor)) == [
        ["2", "2", "2", "2", "234"],
        ["3", "3", "3", "3", "3"],
    ]
    write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,2\n3,3,3,3,3\n")
    assert rows(read(tmp_path, name, cursor)) == [
        ["3", "3", "3", "3", "3"]
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEADER + "9,9,9,9,9\n8,8,8,8,8\n", "rewritten"),
        (HEADER + "1,1\n", "shrank"),
    ],
)
def test_a_file_that_is_another_is_read_from_its_start_and_that_is_said(
    tmp_path: Path, content: str, said: str
) -> None:
    name = write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,2\n")
    cursor = read(tmp_path, name)[-1].cursor_after
    write(tmp_path, content)
    note, *slices = read(tmp_path, name, cursor)
    assert said in (note.note or "")
    assert len(rows(slices)) == content.count("\n") - 1


@pytest.mark.parametrize(
    "cursor",
    [
        {"offset": "x"},
        [],
        "text",
        {"offset": -5, "row": 0, "line": 0, "sha256": "", "dialect": {}},
        {"offset": 9, "row": 0, "line": 0, "sha256": "", "open_row": [5]},
        {
            "offset": 35,
            "row": 0,
            "line": 1,
            "sha256": "",
            "dialect": None,
            "open_row": [25, -5, 9000],
        },
    ],
)
def test_a_cursor_that_makes_no_sense_means_the_start(
    tmp_path: Path, cursor: Any
) -> None:
    slices = read(
        tmp_path, write(tmp_path, HEADER + "1,1,1,1,1\n"), cursor
    )
    assert slices[0].note
    assert rows(slices) == [["1", "1", "1", "1", "1"]]


def moved(root: Path, cursor: Any, **changes: Any) -> Any:
    """As a checkpoint that somebody has set."""
    return CsvFiles(root).cursor_to_keep({**cursor, **changes})


def test_of_a_cursor_that_is_set_what_the_file_is_does_not_count(
    tmp_path: Path,
) -> None:
    name = write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,2\n")
    piece = read(tmp_path, name)[-1]
    dialect = {"encoding": "zip", "context": {"columns": ["a", "b"]}}
    given = moved(tmp_path, piece.cursor_after, dialect=dialect)
    write(tmp_path, HEADER + "1,1,1,1,1\n2,2,2,2,2\n3,3,3,3,3\n")
    (found,) = read(tmp_path, name, given)
    assert rows([found]) == [["3", "3", "3", "3", "3"]]
    assert found.context["columns"] == piece.context["columns"]
    assert found.cursor_after["dialect"]["encoding"] != "zip"


@pytest.mark.parametrize(
    ("offset", "row", "said"),
    [
        (len(HEADER) + 3, 1, "no line begins"),
        (3, 0, "offset 3"),
        (len(HEADER), -5, "row -5"),
        (len(HEADER), 10**30, "row 1000"),
    ],
    ids=["inside a line", "inside the header", "below 0", "beyond"],
)
def test_a_cursor_stands_where_a_row_may_begin(
    tmp_path: Path, offset: int, row: int, said: str
) -> None:
    content = HEADER + "1,1,1,1,1\n2,2,2,2,2\n"
    name = write(tmp_path, content)
    piece = read(tmp_path, name)[-1]
    given = moved(
        tmp_path,
        piece.cursor_after,
        offset=offset,
        row=row,
        sha256=hashlib.sha256(content[:offset].encode()).hexdigest(),
    )
    note, *slices = read(tmp_path, name, given)
    assert said in (note.note or "")
    assert len(rows(slices)) == 2


def test_links_out_of_the_folder_and_hidden_files_are_no_streams(
    tmp_path: Path,
) -> None:
    root = tmp_path / "csv"
    (root / "set").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("a,b\n")
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    for name in ("b.csv", "set/A.CSV", ".hidden.csv", "c.txt"):
        (root / name).write_text("a,b\n")
    found = asyncio.run(CsvFiles(root).streams())
    assert [(info.stream, info.dataset) for info in found] == [
        ("csv/b.csv", "b"),
        ("csv/set/A.CSV", "set"),
    ]


_cell = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00"),
    max_size=6,
)


def test_marks_in_quotes_do_not_cut(tmp_path: Path) -> None:
    (piece,) = read(
        tmp_path,
        write(
            tmp_path,
            '"a","b","c"\n"1","2","x|y"\n"3","4, 5","x|y"\n"6","7","x|y"\n',
        ),
    )
    assert piece.records == [
        ["1", "2", "x|y"],
        ["3", "4, 5", "x|y"],
        ["6", "7", "x|y"],
    ]


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(
    table=st.lists(
        st.tuples(_cell, _cell, _cell), min_size=1, max_size=30
    ),
    stop=st.integers(0, 30),
)
def test_stopping_anywhere_and_resuming_gives_the_rows_of_reading_once(
    tmp_path: Path, table: list[tuple[str, ...]], stop: int
) -> None:
    import csv
    import io

    # A file with fewer rows than show how far apart they are is read from its start when it has
    # grown.
    assume(
        sum(any(cell.strip() for cell in row) for row in table)
        >= csv_source.ENOUGH_ROWS
    )
    buffer = io.StringIO()
    csv.writer(
        buffer, quoting=csv.QUOTE_ALL, lineterminator="\n"
    ).writerows([("a", "b", "c"), *table])
    (tmp_path / "mapping.yaml").write_text("files: [{header_rows: 1}]")
    name = write(tmp_path, buffer.getvalue())
    old = csv_source.MAX_PAGE_RECORDS
    csv_source.MAX_PAGE_RECORDS = 1  # type: ignore[attr-defined]
    try:
        slices = read(tmp_path, name)
        cut = slices[: stop % (len(slices) + 1)]
        rest = read(tmp_path, name, cut[-1].cursor_after if cut else None)
    finally:
        csv_source.MAX_PAGE_RECORDS = old  # type: ignore[attr-defined]
    assert rows(slices) == [list(row) for row in table]
    assert rows(cut) + rows(rest) == [list(row) for row in table]


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(
    lines=st.lists(
        st.sampled_from(
            [
                "1,2,3",
                "x,é,",
                ",,",
                "",
                "  ",
                '4,"5\n6",7',
                '"',
                "8,9",
                "\xa0,1,2",
            ]
        ),
        max_size=25,
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
def test_rows_read_in_blocks_are_those_read_one_by_one(
    tmp_path: Path, lines: list[str], end: str, last: bool
) -> None:
    (tmp_path / "mapping.yaml").write_text("files: [{header_rows: 1}]")
    name = write(
        tmp_path, end.join(["a,b,c", *lines]) + (end if last else "")
    )
    in_blocks = read(tmp_path, name)
    old = csv_source.MAX_BLOCKS
    csv_source.MAX_BLOCKS = 0  # type: ignore[misc]
    try:
        one_by_one = read(tmp_path, name)
    finally:
        csv_source.MAX_BLOCKS = old  # type: ignore[misc]
    assert in_blocks == one_by_one


async def test_a_read_that_is_cancelled_is_closed_when_its_thread_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "2024-01-01,1,2,0.5,1\n")
    looked, go_on, closed = Event(), Event(), Event()

    def waits(*asked: Any) -> Profiled | None:
        looked.set()
        go_on.wait(10)
        return look_here(*asked)

    monkeypatch.setattr(CsvFiles, "_look", staticmethod(waits))
    whole = csv_source.FileReader._whole

    def told(self: Any, note: str | None) -> Any:
        try:
            yield from whole(self, note)
        finally:
            closed.set()

    monkeypatch.setattr(csv_source.FileReader, "_whole", told)
    pieces = CsvFiles(tmp_path).fetch(StreamInfo("csv/a.csv", "x"), None)
    reading = asyncio.ensure_future(anext(aiter(pieces)))
    await asyncio.to_thread(looked.wait, 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not closed.is_set()
    go_on.set()
    assert await asyncio.to_thread(closed.wait, 10)
