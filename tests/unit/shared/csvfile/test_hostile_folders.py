"""What lies in CSV_DIR and attacks, or would be lost in silence."""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from services.extractor.planning.plan import plan
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


@pytest.fixture
def bottomless(tmp_path: Path) -> Iterator[Path]:
    """A folder in a folder in a folder, which Python could not remove."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    yield tmp_path
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_folders_without_end_are_named(bottomless: Path) -> None:
    (bottomless / "good.csv").write_text(ROWS)
    planned = asyncio.run(
        plan(StartIngestion(run_id=RUN), {"csv": CsvFiles(bottomless)})
    )
    assert [task.stream for task in planned.tasks] == ["csv/good.csv"]
    assert "more than 400 characters" in planned.errors[0].message


def test_links_that_lead_nowhere_stop_nothing_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "good.csv").write_text(ROWS)
    (tmp_path / "long.csv").symlink_to("x" * 255 + ".csv")
    (tmp_path / "self.csv").symlink_to("self.csv")
    (tmp_path / "folder").symlink_to("/etc")
    planned = asyncio.run(
        plan(StartIngestion(run_id=RUN), {"csv": CsvFiles(tmp_path)})
    )
    assert [task.stream for task in planned.tasks] == ["csv/good.csv"]
    said = " ".join(error.message for error in planned.errors)
    for name in ("long.csv", "self.csv", "folder"):
        assert name in said, name


@pytest.mark.parametrize("target", ["mapping.yaml", "nothing.yaml"])
def test_a_mapping_file_that_leads_nowhere_is_refused(
    target: str, tmp_path: Path
) -> None:
    (tmp_path / "mapping.yaml").symlink_to(target)
    assert "not there" in refused(tmp_path)


def test_where_a_file_lies_is_known_once_it_is_open(
    tmp_path: Path,
) -> None:
    root = tmp_path / "csv"
    root.mkdir()
    (tmp_path / "secret.csv").write_text(ROWS)
    (root / "a.csv").write_text(ROWS)
    found = folder.find(root, "a.csv")
    (root / "a.csv").unlink()
    (root / "a.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(TaskError) as caught, found.opened():
        pass
    assert caught.value.code == "outside_folder"


def test_a_folder_that_becomes_a_link_is_noticed_too(
    tmp_path: Path,
) -> None:
    root = tmp_path / "csv"
    for at in (root / "d", tmp_path / "other"):
        at.mkdir(parents=True)
        pack(at / "two.zip", ["a.csv", "b.csv"])
    found = folder.find(root, "d/two.zip/a.csv")
    (root / "d").rename(tmp_path / "away")
    (root / "d").symlink_to(tmp_path / "other")
    with pytest.raises(TaskError) as caught, found.opened():
        pass
    assert caught.value.code == "outside_folder"


def test_what_else_lies_in_an_archive_is_named(tmp_path: Path) -> None:
    pack(tmp_path / "a.zip", ["a.csv", "b.csv.gz", "c.xlsx", "README.md"])
    left = list(folder.left_out(tmp_path))
    assert [(found.path, found.is_missed) for found in left] == [
        ("a.zip/b.csv.gz", True),
        ("a.zip/c.xlsx", False),
    ]


def zstd(window_log: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        1, window_log=window_log, write_content_size=0
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters)
    pack = packer.compressobj()
    return pack.compress(ROWS.encode() * 1_000_000) + pack.flush()


@pytest.mark.parametrize(
    ("window_log", "is_read"), [(23, True), (24, False)]
)
def test_a_file_that_takes_much_memory_to_unpack_is_refused(
    window_log: int, is_read: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.csv.zst").write_bytes(zstd(window_log))
    found = folder.find(tmp_path, "a.csv.zst")
    if is_read:
        with found.opened() as content:
            assert content.take(10) == ROWS[:10].encode()
        return
    with pytest.raises(TaskError) as caught, found.opened():
        pass
    assert caught.value.code == "limit_exceeded"


def test_so_is_one_with_a_large_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", ROWS)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, 30 + len("a.csv") + 5, 64 << 20)
    path.write_bytes(data)
    with (
        pytest.raises(TaskError) as caught,
        folder.find(tmp_path, "a.zip").opened(),
    ):
        pass
    assert caught.value.code == "limit_exceeded"


def test_only_the_end_of_a_name_counts(tmp_path: Path) -> None:
    """A download that is not over, and a backup, are no tables."""
    for name in (
        "a.csv",
        "a.csv.part",
        "b.csv.bak",
        "c.csvfile",
        "d.tsv~",
    ):
        (tmp_path / name).write_text("date,price\n2024-01-01,1\n")
    assert [each.path for each in folder.listed(tmp_path)] == ["a.csv"]
    said = {
        each.path: each.sentence for each in folder.left_out(tmp_path)
    }
    assert "downloading still" in said["a.csv.part"]
    assert set(said) == {"a.csv.part", "b.csv.bak", "c.csvfile", "d.tsv~"}


def test_an_entry_with_a_slash_before_it_is_for_one_file() -> None:
    found = overrides.parsed(
        "files:\n  - file: /a.csv\n    symbol: btc\n"
    )
    assert found.overrides_for("a.csv").symbol == "btc"
    assert found.overrides_for("other/a.csv").symbol is None


def test_half_a_character_in_a_mapping_is_refused() -> None:
    text = 'files:\n  - file: a.csv\n    columns: {close: "\\ud800"}\n'
    with pytest.raises(TaskError, match="half a character"):
        overrides.parsed(text)


def test_keys_that_are_no_texts_are_refused_in_words() -> None:
    text = "files:\n  - file: a.csv\n    columns: {2024-01-01: close}\n"
    with pytest.raises(TaskError) as caught:
        overrides.parsed(text)
    assert caught.value.code == "bad_mapping"
