"""Files by the API: whole or not at all, below CSV_DIR alone, within a quota."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from services.gateway import problems
from services.gateway.api_key import WrongKeys
from services.gateway.files_there import FilesThere
from services.gateway.middleware.body_limit import BodyLimit
from services.gateway.routes import files
from services.gateway.settings import GatewaySettings
from services.gateway.uploads.store import HIDDEN, Uploads
from shared.csvfile import folder, overrides
from tests.support.http_server import serving

KEY = "a-key-for-tests"
TEXT = b"date,price\n" + b"2024-01-01,1.5\n" * 20_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "csv").mkdir()
    (tmp_path / "outside").mkdir()
    return tmp_path / "csv"


def client_of(root: Path, quota: int) -> FastAPI:
    app = FastAPI()
    app.state.settings = GatewaySettings(
        _env_file=None, csv_dir=root, api_key=KEY
    )
    app.state.wrong_keys = WrongKeys()
    app.state.files_there = FilesThere(root)
    app.state.uploads = Uploads(root, quota)
    app.add_middleware(BodyLimit, limit=1 << 20, together=1 << 22)
    problems.install(app)
    app.include_router(files.router, prefix="/api/v1")
    return app


@pytest.fixture
def api(root: Path) -> Iterator[httpx.Client]:
    with (
        serving(client_of(root, 1_000_000)) as address,
        httpx.Client(
            base_url=f"{address}/api/v1",
            headers={"x-api-key": KEY},
            trust_env=False,
        ) as api,
    ):
        yield api


def test_a_file_is_put_whole(api: httpx.Client, root: Path) -> None:
    answer = api.put("/files/csv/venue/btc-usd.csv", content=TEXT)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "path": "venue/btc-usd.csv",
        "stream": "csv/venue/btc-usd.csv",
        "received": 0,
        "size": len(TEXT),
    }
    assert (root / "venue" / "btc-usd.csv").read_bytes() == TEXT
    assert [each.path for each in folder.listed(root)] == [
        "venue/btc-usd.csv"
    ]
    assert [each.name for each in (root / HIDDEN).iterdir()] == ["lock"]


def test_parts_go_on_where_they_ended(
    api: httpx.Client, root: Path
) -> None:
    size = len(TEXT)

    def put(first: int, past: int) -> httpx.Response:
        return api.put(
            "/files/csv/big.csv",
            content=TEXT[first:past],
            headers={"Content-Range": f"bytes {first}-{past - 1}/{size}"},
        )

    assert put(0, 100_000).json()["received"] == 100_000
    assert list(folder.listed(root)) == []
    state = api.get("/files/csv/big.csv")
    assert (state.json()["received"], state.json()["size"]) == (
        100_000,
        None,
    )
    wrong = put(200_000, size)
    assert wrong.status_code == 409
    assert wrong.headers["upload-offset"] == "100000"
    assert put(100_000, size).json()["size"] == size
    assert (root / "big.csv").read_bytes() == TEXT


def test_what_is_there_goes_only_when_asked(
    api: httpx.Client, root: Path
) -> None:
    api.put("/files/csv/a.csv", content=b"old\n")
    refused = api.put("/files/csv/a.csv", content=b"new\n")
    assert refused.status_code == 409
    assert "replace=true" in refused.text
    assert (root / "a.csv").read_bytes() == b"old\n"
    done = api.put(
        "/files/csv/a.csv", params={"replace": "true"}, content=b"new\n"
    )
    assert done.status_code == 200
    assert (root / "a.csv").read_bytes() == b"new\n"


@pytest.mark.parametrize(
    "path",
    [
        "..%2Fa.csv",
        "a%2F..%2F..%2Fa.csv",
        "%2Fetc%2Fa.csv",
        "a%2F%2Fb.csv",
        ".hidden.csv",
        ".uploads%2Fa.csv",
        "a%00.csv",
        "a%0A.csv",
        "a*.csv",
        "a%5Cb.csv",
        "mapping.yaml",
        "a.html",
        "link%2Fa.csv",
        "file.csv%2Fa.csv",
        f"{'a' * 300}.csv",
        "/".join(["aaaaaaaaaa"] * 60) + ".csv",
        " a.csv",
        "a.csv.part",
        "a.csv~",
        "x.zip%2Fa.csv",
        "cafe%CC%81.csv",
        "a%FF.csv",
        "a%C2%A0.csv",
    ],
)
def test_nothing_else_can_be_written(
    api: httpx.Client, root: Path, path: str
) -> None:
    (root / "link").symlink_to(root.parent / "outside")
    (root / "file.csv").write_text("x")
    before = sorted(root.parent.rglob("*"))
    answer = api.put(f"/files/csv/{path}", content=b"x")
    assert answer.status_code in (404, 422), answer.text
    assert sorted(root.parent.rglob("*")) == before


def test_a_quota_bounds_what_is_there(
    api: httpx.Client, root: Path
) -> None:
    (root / "own.csv").write_bytes(b"x" * 900_000)
    answer = api.put("/files/csv/a.csv", content=TEXT)
    assert answer.status_code == 413
    assert "UPLOAD_QUOTA_MB" in answer.text

    grown = api.put("/files/csv/a.csv", content=iter([b"x"]))
    assert grown.status_code == 411
    assert not (root / "a.csv").exists()


def test_room_that_was_asked_for_is_kept(
    api: httpx.Client, root: Path
) -> None:
    """By those that were begun, however little of them has come."""

    def begin(name: str, total: int) -> httpx.Response:
        return api.put(
            f"/files/csv/{name}.csv",
            content=b"x",
            headers={"Content-Range": f"bytes 0-0/{total}"},
        )

    assert begin("a", 600_000).status_code == 200
    assert begin("b", 500_000).status_code == 413
    assert begin("b", 300_000).status_code == 200
    larger = api.put(
        "/files/csv/b.csv",
        content=b"y" * 10,
        headers={"Content-Range": "bytes 1-10/900000"},
    )
    assert larger.status_code == 409
    # Begun anew with another size, the first no longer counts.
    assert begin("a", 100).status_code == 200
    assert begin("c", 500_000).status_code == 200


def test_links_and_folders_in_the_way_are_left_alone(
    api: httpx.Client, root: Path
) -> None:
    outside = root.parent / "outside"
    (outside / "old.txt").write_text("theirs")
    os.utime(outside / "old.txt", (0, 0))
    (root / HIDDEN).symlink_to(outside)
    assert api.put("/files/csv/a.csv", content=b"x").status_code == 503
    assert [each.name for each in outside.iterdir()] == ["old.txt"]
    (root / HIDDEN).unlink()
    first = api.put(
        "/files/csv/race/a.csv",
        content=b"12345",
        headers={"Content-Range": "bytes 0-4/10"},
    )
    assert first.status_code == 200
    (root / "race").symlink_to(outside)
    second = api.put(
        "/files/csv/race/a.csv",
        content=b"67890",
        headers={"Content-Range": "bytes 5-9/10"},
    )
    assert second.status_code in (422, 503)
    assert [each.name for each in outside.iterdir()] == ["old.txt"]
    (root / "dir.csv").mkdir()
    folder_there = api.put(
        "/files/csv/dir.csv", params={"replace": "true"}, content=b"x"
    )
    assert folder_there.status_code == 409
    (root / "secret.csv").symlink_to("/etc/passwd")
    assert api.get("/files/csv/secret.csv").json()["size"] is None


def test_what_a_dead_gateway_left_is_not_written_to(
    api: httpx.Client, root: Path
) -> None:
    """It died after the file had its name, before the hidden one was gone."""
    api.put("/files/csv/a.csv", content=TEXT)
    hidden = root / HIDDEN
    name = f"{hashlib.sha256(b'a.csv').hexdigest()}.50"
    os.link(root / "a.csv", hidden / name)
    answer = api.put(
        "/files/csv/a.csv",
        params={"replace": "true"},
        content=b"0123456789",
        headers={"Content-Range": "bytes 0-9/50"},
    )
    assert answer.status_code == 423
    assert (root / "a.csv").read_bytes() == TEXT


def test_files_can_be_read_by_extractors_of_another_user(
    api: httpx.Client, root: Path
) -> None:
    api.put("/files/csv/venue/a.csv", content=b"x")
    assert (root / "venue" / "a.csv").stat().st_mode & 0o777 == 0o644
    assert (root / "venue").stat().st_mode & 0o777 == 0o755
    (root / "mapping.yaml").write_text(OWN)
    (root / "mapping.yaml").chmod(0o664)
    api.post("/files/mapping", json={"file": "a.csv", "symbol": "btc"})
    assert (root / "mapping.yaml").stat().st_mode & 0o777 == 0o664


def test_two_gateways_lose_no_entry(root: Path) -> None:
    with (
        serving(client_of(root, 1_000_000)) as one,
        serving(client_of(root, 1_000_000)) as other,
        ThreadPoolExecutor(4) as pool,
    ):

        def post(n: int) -> int:
            return httpx.post(
                f"{(one, other)[n % 2]}/api/v1/files/mapping",
                headers={"x-api-key": KEY},
                json={"file": f"{n}.csv", "symbol": "btc"},
                trust_env=False,
            ).status_code

        assert set(pool.map(post, range(20))) == {200}
    names = {each.file for each in overrides.load(root).files}
    assert names == {f"{n}.csv" for n in range(20)}


def test_a_file_comes_as_it_is(api: httpx.Client) -> None:
    answer = api.put(
        "/files/csv/a.csv",
        content=b"x",
        headers={"Content-Encoding": "gzip"},
    )
    assert answer.status_code == 415


def test_uploads_can_be_off(root: Path) -> None:
    with serving(client_of(root, 0)) as address:
        headers = {"x-api-key": KEY}
        url = f"{address}/api/v1/files"
        for answer in (
            httpx.put(f"{url}/csv/a.csv", headers=headers, content=b"x"),
            httpx.get(f"{url}/csv/a.csv", headers=headers),
            httpx.post(f"{url}/mapping", headers=headers, json={}),
        ):
            assert answer.status_code == 409
            assert "UPLOAD_QUOTA_MB" in answer.text


@pytest.mark.parametrize(
    "given",
    [
        "bytes 0-9/5",
        "bytes 5-4/9",
        "bytes 0-1/2",
        "items 0-3/4",
        "bytes 0-3/*",
        "nonsense",
    ],
)
def test_a_range_that_is_none(api: httpx.Client, given: str) -> None:
    answer = api.put(
        "/files/csv/a.csv",
        content=b"1234",
        headers={"Content-Range": given},
    )
    assert answer.status_code == 422, answer.text


def test_one_request_writes_a_file_at_a_time(
    api: httpx.Client, root: Path
) -> None:
    going = threading.Event()
    ended = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield TEXT[:1000]
        going.set()
        ended.wait(10)
        yield TEXT[1000:]

    answers = []
    length = {"Content-Length": str(len(TEXT))}
    first = threading.Thread(
        target=lambda: answers.append(
            api.put("/files/csv/a.csv", content=slowly(), headers=length)
        )
    )
    first.start()
    assert going.wait(10)
    time.sleep(0.2)
    second = api.put(
        "/files/csv/a.csv",
        content=TEXT[:9],
        headers={"Content-Range": f"bytes 0-8/{len(TEXT)}"},
    )
    ended.set()
    first.join()
    assert second.status_code == 423
    assert answers[0].status_code == 200, answers[0].text
    assert (root / "a.csv").read_bytes() == TEXT


def test_a_folder_that_cannot_be_written_is_said(
    api: httpx.Client, root: Path
) -> None:
    (root / HIDDEN).write_text("in the way")
    answer = api.put("/files/csv/a.csv", content=b"x")
    assert answer.status_code == 503
    assert "CSV_DIR" in answer.text


OWN = """# my files
files:
  # the bank
  - file: bank.csv   # monthly
    dates: day_first
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OWN, OWN + "  - file: a.csv\n    symbol: btc\n"),
        (
            "files:\n- file: b.csv\n  symbol: eth",
            "files:\n- file: b.csv\n  symbol: eth\n- file: a.csv\n  symbol: btc\n",
        ),
        (
            "# nothing yet\n",
            "# nothing yet\nfiles:\n  - file: a.csv\n    symbol: btc\n",
        ),
        ("", "files:\n  - file: a.csv\n    symbol: btc\n"),
    ],
)
def test_an_entry_is_added_and_all_else_stays(
    api: httpx.Client, root: Path, text: str, expected: str
) -> None:
    if text:
        (root / "mapping.yaml").write_text(text)
    answer = api.post(
        "/files/mapping", json={"file": "a.csv", "symbol": "btc"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["lines"].strip().startswith("- file: a.csv")
    assert (root / "mapping.yaml").read_text() == expected
    found = overrides.load(root).overrides_for("a.csv")
    assert found.symbol == "btc"


@pytest.mark.parametrize(
    ("text", "entry", "status"),
    [
        ("files: []\n", {"file": "a.csv"}, 409),
        ("files: [{file: b.csv}]\n", {"file": "a.csv"}, 409),
        ("files: {\n", {"file": "a.csv"}, 422),
        ("", {"file": "a.csv", "symbol": "…"}, 422),
        ("", {"file": "a.csv", "nonsense": 1}, 422),
        ("", {"symbol": "btc"}, 422),
        ("", {"file": "a.csv", "columns": {"close": "\ud800"}}, 422),
        ("", {"file": "a.csv", "columns": {"time": "y" * 300_000}}, 413),
        ("", {"file": "a.csv", "timezone": "Nowhere"}, 422),
        ("", {"file": "a.csv", "columns": {"soul": 1}}, 422),
    ],
)
def test_what_cannot_be_added_changes_nothing(
    api: httpx.Client,
    root: Path,
    text: str,
    entry: dict[str, object],
    status: int,
) -> None:
    (root / "mapping.yaml").write_text(text)
    answer = api.post(
        "/files/mapping",
        content=json.dumps(entry),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == status, answer.text
    assert (root / "mapping.yaml").read_text() == text


def test_a_mapping_that_is_a_link_is_left_alone(
    api: httpx.Client, root: Path
) -> None:
    real = root / "real.yaml"
    real.write_text(OWN)
    (root / "mapping.yaml").symlink_to(real)
    answer = api.post("/files/mapping", json={"file": "a.csv"})
    assert answer.status_code == 409
    assert (root / "mapping.yaml").readlink() == real
    assert real.read_text() == OWN
