"""CSV files in an object storage: the same files as in a folder, read by ranges, put by the API."""

from __future__ import annotations

import gzip
import io
import uuid
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest
from fastapi import FastAPI

from services.extractor.sources.csv_files.source import CsvFiles
from services.gateway import problems
from services.gateway.api_key import WrongKeys
from services.gateway.files_there import FilesThere
from services.gateway.routes import files
from services.gateway.settings import GatewaySettings
from services.gateway.uploads import objects as uploaded
from services.gateway.uploads import store
from services.gateway.uploads.place import uploads_to
from shared.csvfile import folder, overrides
from shared.csvfile.folder import Root
from shared.csvfile.places import objects
from shared.csvfile.places.bucket import Bucket, Login
from shared.errors import TaskError
from tests.support.http_server import serving
from tests.support.object_storage import (
    KEY_ID,
    SECRET,
    Storage,
    content,
    object_storage,
    paths,
    put,
)

KEY = "a-key-for-tests"
HEAD = "time,open,high,low,close,volume\n"
ROWS = [
    f"{1_700_000_000 + 60 * n},1,2,0.5,1.5,{n}" for n in range(60_000)
]
LONG = (HEAD + "\n".join(ROWS) + "\n").encode()
SHORT = "date,symbol,price\n2024-01-01,BTC,1.5\n2024-01-02,BTC,2.5\n"


def zipped(**members: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return made.getvalue()


FILES = {
    "a/plain.csv": SHORT.encode(),
    "a/utf16.csv": SHORT.encode("utf-16"),
    "a/packed.csv.gz": gzip.compress(SHORT.encode()),
    "both.zip": zipped(one=SHORT, two=SHORT),
    "b/one.zip": zipped(only=SHORT),
    "mapping.yaml": b"files:\n  - file: left.csv\n    ignore: true\n",
    "left.csv": SHORT.encode(),
    ".hidden/c.csv": SHORT.encode(),
    "a/.part.csv": SHORT.encode(),
    "a/book.xlsx": b"PK",
    "a b/späť ü+%.csv": SHORT.encode(),
}


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    with object_storage() as storage:
        yield storage


@pytest.fixture
def bucket(storage: Storage) -> Bucket:
    return storage.bucket(uuid.uuid4().hex)


async def rows_of(
    root: Root, stream: str, cursor: Any = None
) -> list[Any]:
    source = CsvFiles(root)
    (info,) = (
        each for each in await source.streams() if each.stream == stream
    )
    return [piece async for piece in source.fetch(info, cursor)]


async def test_it_holds_what_a_folder_holds(
    bucket: Bucket, tmp_path: Path
) -> None:
    for path, data in FILES.items():
        put(bucket, path, data)
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    on_disk, there = CsvFiles(tmp_path), CsvFiles(bucket)
    streams = await on_disk.streams()
    assert await there.streams() == streams
    assert len(streams) == 7
    assert await there.left_out() == await on_disk.left_out()
    for info in streams:
        known = [each async for each in on_disk.fetch(info, None)]
        found = [each async for each in there.fetch(info, None)]
        assert [each.records for each in found if each.records] == [
            each.records for each in known if each.records
        ]
        assert found[-1].cursor_after["is_end"]


async def test_what_was_read_is_not_asked_for_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, "btc-usd.csv", LONG)
    pieces = await rows_of(bucket, "csv/btc-usd.csv")
    assert sum(len(each.records) for each in pieces) == len(ROWS)
    asked: list[int] = []
    ask = objects._Reader._ask
    monkeypatch.setattr(
        objects._Reader,
        "_ask",
        lambda self: asked.append(self.tell()) or ask(self),
    )
    (again,) = await rows_of(
        bucket, "csv/btc-usd.csv", pieces[-1].cursor_after
    )
    assert "nothing new" in again.note
    assert asked == []

    # From the middle on, by the range behind the beginning that tells how it is written.
    half = len(pieces) // 2
    rest = await rows_of(
        bucket, "csv/btc-usd.csv", pieces[half].cursor_after
    )
    assert asked == [0, pieces[half].cursor_after["offset"] - 1]
    assert [each.records for each in rest] == [
        each.records for each in pieces[half + 1 :]
    ]

    # One that has grown is read on from where it stood, where all before it was read.
    put(bucket, "btc-usd.csv", LONG + b"1800000000,1,2,0.5,1.5,7\n")
    grown = await rows_of(
        bucket, "csv/btc-usd.csv", pieces[-1].cursor_after
    )
    assert [len(each.records) for each in grown] == [1, 0]
    whole = await rows_of(
        bucket, "csv/btc-usd.csv", rest[-1].cursor_after
    )
    assert "another version" in whole[0].note
    assert sum(len(each.records) for each in whole) == len(ROWS) + 1


def test_one_version_is_read(bucket: Bucket) -> None:
    put(bucket, "btc-usd.csv", LONG * 4)
    file = bucket.find("btc-usd.csv")
    assert file is not None
    with file.open() as opened:
        assert opened.read(5) == LONG[:5]
        put(bucket, "btc-usd.csv", LONG)
        opened.seek(3_000_000)
        with pytest.raises(TaskError, match="was replaced while it was"):
            opened.read(5)
    obstore.delete(bucket.store, "btc-usd.csv")
    with (
        file.open() as opened,
        pytest.raises(TaskError, match="not there any more"),
    ):
        opened.read(5)


async def test_a_connection_that_breaks_is_taken_up(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, "btc-usd.csv", LONG)
    more, count = objects._Reader._more, 0

    def broken(self: Any) -> bytes:
        nonlocal count
        count += 1
        if count % 3 == 0 and self._answer is not None:
            self._answer.close()
            self._chunks = failing()
        return bytes(more(self))

    def failing() -> Iterator[bytes]:
        raise httpx.ReadError("broken")
        yield b""

    monkeypatch.setattr(objects._Reader, "_more", broken)
    pieces = await rows_of(bucket, "csv/btc-usd.csv")
    assert count > 3
    assert sum(len(each.records) for each in pieces) == len(ROWS)
    assert pieces[-1].cursor_after["offset"] == len(LONG)


async def test_who_may_not_read_is_told(storage: Storage) -> None:
    nowhere = Bucket(
        "s3://nowhere/prices",
        Login(KEY_ID, SECRET, "", "us-east-1", storage.endpoint),
    )
    with pytest.raises(TaskError, match="s3://nowhere/prices cannot be"):
        await CsvFiles(nowhere).streams()
    away = Bucket(
        "s3://prices",
        Login(KEY_ID, SECRET, "", "us-east-1", "http://127.0.0.1:1"),
    )
    with pytest.raises(TaskError, match="cannot be read") as raised:
        overrides.load(away)
    assert raised.value.code == "bad_mapping"
    assert SECRET not in raised.value.message


async def test_an_archive_that_could_not_be_looked_into_is_looked_into_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bucket, "both.zip", zipped(one=SHORT, two=SHORT))
    monkeypatch.setattr(objects, "ATTEMPTS", 1)
    ask = objects._Reader._ask

    def fails(_self: Any) -> None:
        raise httpx.ConnectError("away")

    monkeypatch.setattr(objects._Reader, "_ask", fails)
    with pytest.raises(TaskError, match="broke off: away"):
        list(folder.listed(bucket))
    monkeypatch.setattr(objects._Reader, "_ask", ask)
    found = [each.path for each in folder.listed(bucket)]
    assert found == ["both.zip/one.csv", "both.zip/two.csv"]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (206, {"content-range": "bytes 0-9/1000"}),
        (206, {}),
        (206, {"content-range": "bytes 500-999/1000", "etag": '"other"'}),
        (206, {"content-range": "bytes 500-999/2000"}),
        (200, {"content-length": "1000"}),
    ],
)
def test_other_bytes_than_were_asked_for_are_not_taken(
    status: int, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=headers, content=b"x" * 10)

    file = objects.ObjectFile("a.csv", "http://storage/a", 1000, '"one"')
    reader = objects._Reader(file)
    reader._client = httpx.Client(transport=httpx.MockTransport(answered))
    reader.seek(500)
    with pytest.raises(TaskError, match="with something else"):
        reader.readinto(bytearray(5))


async def test_a_checkpoint_that_was_moved_is_checked(
    bucket: Bucket,
) -> None:
    put(bucket, "btc-usd.csv", LONG)
    pieces = await rows_of(bucket, "csv/btc-usd.csv")
    moved = CsvFiles(bucket).cursor_to_keep(
        {**pieces[1].cursor_after, "offset": 100_003}
    )
    again = await rows_of(bucket, "csv/btc-usd.csv", moved)
    assert "no line begins where" in again[0].note
    beyond = {**pieces[-1].cursor_after, "offset": 10**9, "is_end": False}
    again = await rows_of(bucket, "csv/btc-usd.csv", beyond)
    assert "read from the start" in again[0].note


async def test_odd_names_are_told(
    storage: Storage, bucket: Bucket
) -> None:
    prefix = bucket.url.rpartition("/")[2]
    put(bucket, "btc-usd.csv", LONG)
    answer = storage.api.put(f"/prices/{prefix}//x.csv", content=b"a,b\n")
    assert answer.status_code == 200
    with pytest.raises(TaskError, match="rename or remove this object"):
        await CsvFiles(bucket).streams()
    for path in ("a//b.csv", "a\x01.csv", "a\ud800.csv", "", "../b.csv"):
        with pytest.raises(TaskError, match="is not a file below"):
            folder.find(bucket, path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("aws_endpoint_url", "minio:9000"),
        ("csv_dir", "s3://prices/a#b"),
        ("csv_dir", "s3://prices//a"),
        ("csv_dir", "s3:///a"),
        ("csv_dir", "gs://prices"),
        ("aws_secret_access_key", ""),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    storage: Storage, name: str, value: str
) -> None:
    given = {
        each.lower(): text for each, text in storage.settings("x").items()
    }
    GatewaySettings(_env_file=None, **given)
    with pytest.raises(ValueError, match=r"must be|belong together"):
        GatewaySettings(_env_file=None, **{**given, name: value})


# -- uploads --------------------------------------------------------------------------------------


@pytest.fixture
def api(storage: Storage, bucket: Bucket) -> Iterator[httpx.Client]:
    app = FastAPI()
    prefix = bucket.url.rpartition("/")[2]
    settings = {
        name.lower(): value
        for name, value in storage.settings(prefix).items()
    }
    app.state.settings = GatewaySettings(
        _env_file=None, api_key=KEY, **settings
    )
    app.state.wrong_keys = WrongKeys()
    app.state.files_there = FilesThere(bucket)
    app.state.uploads = uploads_to(bucket, 10_000_000)
    problems.install(app)
    app.include_router(files.router, prefix="/api/v1")
    with (
        serving(app) as address,
        httpx.Client(
            base_url=f"{address}/api/v1",
            headers={"x-api-key": KEY},
            trust_env=False,
            timeout=30,
        ) as api,
    ):
        yield api


def test_a_file_is_put_whole_and_in_parts(
    api: httpx.Client, bucket: Bucket
) -> None:
    def part(first: int, past: int) -> httpx.Response:
        return api.put(
            "/files/csv/venue/big.csv",
            content=LONG[first:past],
            headers={
                "Content-Range": f"bytes {first}-{past - 1}/{len(LONG)}"
            },
        )

    whole = api.put("/files/csv/a.csv", content=SHORT.encode())
    assert whole.status_code == 200, whole.text
    assert whole.json()["size"] == len(SHORT)
    assert content(bucket, "a.csv") == SHORT.encode()

    third = len(LONG) // 3
    assert part(0, third).json()["received"] == third
    wrong = part(2 * third, len(LONG))
    assert wrong.status_code == 409
    assert wrong.headers["upload-offset"] == str(third)
    assert part(third, 2 * third).status_code == 200
    # An upload that is not whole is no file.
    assert [each.path for each in folder.listed(bucket)] == ["a.csv"]
    state = api.get("/files/csv/venue/big.csv").json()
    assert (state["received"], state["size"]) == (2 * third, None)
    last = part(2 * third, len(LONG))
    assert last.json()["size"] == len(LONG), last.text
    assert content(bucket, "venue/big.csv") == LONG
    assert paths(bucket) == ["a.csv", "venue/big.csv"]


def test_what_may_not_be_is_refused(
    api: httpx.Client, bucket: Bucket
) -> None:
    assert (
        api.put("/files/csv/a.csv", content=b"old\n").status_code == 200
    )
    there = api.put("/files/csv/a.csv", content=b"new\n")
    assert there.status_code == 409
    put_anyway = api.put(
        "/files/csv/a.csv?replace=true", content=b"new\n"
    )
    assert put_anyway.status_code == 200
    assert content(bucket, "a.csv") == b"new\n"
    for path in (".uploads/x.csv", "a/b*.csv", "a.exe", "a//b.csv"):
        refused = api.put(f"/files/csv/{path}", content=b"x")
        assert refused.status_code in (404, 422), path
    too_large = api.put(
        "/files/csv/huge.csv",
        content=b"x",
        headers={"Content-Range": "bytes 0-0/20000000"},
    )
    assert too_large.status_code == 413
    short = api.put(
        "/files/csv/b.csv",
        content=b"xy",
        headers={"Content-Range": "bytes 0-1/3"},
    )
    assert short.json()["received"] == 2
    assert api.delete("/files/csv/a.csv").status_code == 204
    assert api.delete("/files/csv/a.csv").status_code == 404
    assert all(each.startswith(store.HIDDEN) for each in paths(bucket))


def test_the_mapping_grows(api: httpx.Client, bucket: Bucket) -> None:
    for name in ("a.csv", "b.csv"):
        added = api.post(
            "/files/mapping", json={"file": name, "symbol": "btc"}
        )
        assert added.status_code == 200, added.text
    names = [each.file for each in overrides.load(bucket).files]
    assert names == ["a.csv", "b.csv"]


def part(
    api: httpx.Client, first: int, past: int, total: int = len(LONG)
) -> httpx.Response:
    return api.put(
        "/files/csv/big.csv",
        content=LONG[first:past],
        headers={"Content-Range": f"bytes {first}-{past - 1}/{total}"},
    )


def test_what_was_left_too_long_is_begun_anew(
    api: httpx.Client, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = len(LONG) // 2
    assert part(api, 0, half).status_code == 200
    monkeypatch.setattr(uploaded, "ABANDONED_S", -10)
    # Its own parts are not removed while it goes on.
    assert part(api, half, len(LONG)).json()["size"] == len(LONG)
    assert content(bucket, "big.csv") == LONG

    obstore.delete(bucket.store, "big.csv")
    monkeypatch.setattr(uploaded, "ABANDONED_S", 60)
    assert part(api, 0, half).status_code == 200
    (begun,) = (p for p in paths(bucket) if p.startswith(store.HIDDEN))
    obstore.delete(bucket.store, begun)
    refused = part(api, half, len(LONG))
    assert (refused.status_code, refused.headers["upload-offset"]) == (
        409,
        "0",
    )
    assert "big.csv" not in paths(bucket)


def test_a_last_part_may_come_again(
    api: httpx.Client, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = len(LONG) // 2
    joined = uploaded.BucketUploads._joined

    async def breaks(*_: Any) -> Any:
        raise FileNotFoundError("a part is gone")
        yield b""

    part(api, 0, half)
    monkeypatch.setattr(uploaded.BucketUploads, "_joined", breaks)
    failed = part(api, half, len(LONG))
    assert failed.status_code == 503
    assert "object storage of CSV_DIR" in failed.text
    state = api.get("/files/csv/big.csv").json()
    assert (state["received"], state["size"]) == (half, None)
    monkeypatch.setattr(uploaded.BucketUploads, "_joined", joined)
    assert part(api, half, len(LONG)).json()["size"] == len(LONG)
    assert content(bucket, "big.csv") == LONG


def test_foreign_files_among_hidden_ones_do_no_harm(
    api: httpx.Client, bucket: Bucket
) -> None:
    put(bucket, f"{store.HIDDEN}/lock", b"")
    put(bucket, f"{store.HIDDEN}/a.b/c", b"x")
    assert api.put("/files/csv/a.csv", content=b"x\n").status_code == 200


def test_the_quota_holds_for_files_that_come_together(
    api: httpx.Client, bucket: Bucket
) -> None:
    def put_one(number: int) -> int:
        return api.put(
            f"/files/csv/{number}.csv", content=b"x" * 6_000_000
        ).status_code

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(put_one, range(4)))
    assert sorted(found) == [200, 413, 413, 413]
