"""What lies in CSV_DIR and attacks, or would be lost in silence."""

from __future__ import annotations

import asyncio
import os
import struct
import zipfile
from pathlib import Path

import pytest

from services.extractor.planner import plan
from services.extractor.sources.base import StreamInfo
from services.extractor.sources.csv_files.source import CsvFiles
from shared.csvfile import folder, overrides
from shared.errors import TaskError
from shared.messages.commands import StartIngestion

ROWS = "date,price\n2024-01-01,1\n2024-01-02,2\n"
RUN = "3b241101-e2bb-4255-8caf-4136c566a962"


def refused(root: Path) -> str:
    with pytest.raises(TaskError) as caught:
        overrides.load(root)
    assert caught.value.code == "bad_mapping"
    return caught.value.message


def test_a_mapping_file_that_leads_out_is_not_read(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:*:20228:0:99999:7:::\n")
    root = tmp_path / "csv"
    root.mkdir()
    (root / "mapping.yaml").symlink_to(secret)
    assert "root" not in refused(root)


def test_a_link_inside_is_read(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("files: []")
    (tmp_path / "mapping.yaml").symlink_to("own.yaml")
    assert overrides.load(tmp_path).files == []


def test_a_mapping_file_that_never_ends_is_not_waited_for(
    tmp_path: Path,
) -> None:
    os.mkfifo(tmp_path / "mapping.yaml")
    assert "no ordinary file" in refused(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "x: " * 50_000,
        "files:\n" + "- file: a\n" * 20_000,
        "a" * 300_000,
        "a: &a [x, x]\nfiles: *a\n",
        "files:\n- file: x\n  header_rows: " + "9" * 6_000,
    ],
)
def test_a_mapping_file_beyond_all_sense_is_refused(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "mapping.yaml").write_text(text)
    refused(tmp_path)


def pack(path: Path, names: list[str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, ROWS)


def fails(root: Path, path: str) -> TaskError:
    """The one stream that stands for an archive fails."""
    (stream,) = asyncio.run(CsvFiles(root).streams())
    assert stream.stream == f"csv/{path}"

    async def read() -> None:
        async for _ in CsvFiles(root).fetch(stream, None):
            pass

    with pytest.raises(TaskError) as caught:
        asyncio.run(read())
    return caught.value


def test_an_archive_of_too_many_files_is_not_read_in_part(
    tmp_path: Path,
) -> None:
    pack(tmp_path / "many.zip", [f"{n}.csv" for n in range(1_001)])
    error = fails(tmp_path, "many.zip")
    assert (error.code, "1001 CSV files" in error.message) == (
        "limit_exceeded",
        True,
    )


def test_an_archive_with_a_name_twice_is_not_read_in_part(
    tmp_path: Path,
) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        pack(tmp_path / "twice.zip", ["a.csv", "a.csv"])
    error = fails(tmp_path, "twice.zip")
    assert (error.code, "more than once" in error.message) == (
        "bad_archive",
        True,
    )


def test_an_archive_with_a_name_without_end_is_not_read_in_part(
    tmp_path: Path,
) -> None:
    pack(tmp_path / "long.zip", ["a" * 60_000 + ".csv", "b.csv"])
    assert fails(tmp_path, "long.zip").code == "limit_exceeded"


def test_a_list_of_files_beyond_all_sense_is_not_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "huge.zip"
    pack(path, ["a.csv", "b.csv"])
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\5\6")
    struct.pack_into("<L", data, at + 12, 500_000_000)
    path.write_bytes(bytes(data))
    assert fails(tmp_path, "huge.zip").code == "limit_exceeded"


def test_what_should_be_read_and_cannot_be_is_an_error_of_the_run(
    tmp_path: Path,
) -> None:
    (tmp_path / "good.csv").write_text(ROWS)
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "out.csv").symlink_to("/etc/hostname")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))).write_text(
        ROWS
    )
    deep = tmp_path / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    (deep / "far.csv").write_text(ROWS)
    (tmp_path / "notes.txt").write_text("x")
    command = StartIngestion(run_id=RUN, sources=["csv"])
    planned = asyncio.run(plan(command, {"csv": CsvFiles(tmp_path)}))
    assert [task.stream for task in planned.tasks] == ["csv/good.csv"]
    said = " ".join(error.message for error in planned.errors)
    assert {error.code for error in planned.errors} == {"unreadable_file"}
    for name in ("pipe.csv", "out.csv", "udcff.csv", "ddd"):
        assert name in said, name
    assert any("notes.txt" in note for note in planned.notes)


def test_what_is_ignored_is_no_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "mapping.yaml").write_text(
        "files:\n- file: pipe.csv\n  ignore: true\n"
    )
    command = StartIngestion(run_id=RUN, sources=["csv"])
    planned = asyncio.run(plan(command, {"csv": CsvFiles(tmp_path)}))
    assert planned.errors == []


def test_one_file_of_several_is_read_by_its_name(tmp_path: Path) -> None:
    pack(tmp_path / "two.zip", ["a.csv", "b.csv"])
    found = folder.find(tmp_path, "two.zip/a.csv")
    assert found.path == "two.zip/a.csv"
    assert StreamInfo("csv/two.zip/b.csv", "two") in asyncio.run(
        CsvFiles(tmp_path).streams()
    )
