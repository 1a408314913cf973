"""Everything as a file: whole, exact, or visibly broken."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine, text

from services.gateway.files import export
from tests.integration.test_data_manners import filled
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.support.file_rows import FORMS, read, rows_of
from tests.support.pages import candle
from tests.support.product import until

__all__ = ["filled"]


def get(api: httpx.Client, **params: Any) -> httpx.Response:  # noqa: F811
    answer = api.get("/data", params=params)
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("form", "params"),
    [
        *((form, {}) for form in FORMS),
        ("ndjson", {"symbol": "btc"}),
        ("csv", {"source": "rss"}),
        (
            "ndjson",
            {"kind": "candle", "from": "2024-01-05", "to": "2024-01-09"},
        ),
        ("csv", {"as_of": "2100-01-01T00:00:00Z"}),
        ("ndjson", {"updated_since": "2020-01-01T00:00:00Z"}),
    ],
)
def test_a_file_has_what_the_list_has(
    api: httpx.Client,  # noqa: F811
    form: str,
    params: dict[str, str],
) -> None:
    listed = get(api, limit=1000, **params).json()
    answer = get(api, format=form, **params)
    found = rows_of(answer, form)
    assert sorted(row["id"] for row in found) == sorted(
        row["id"] for row in listed
    )
    by_id = {row["id"]: row for row in listed}
    for row in found:
        expected = by_id[row["id"]]["close"]
        close = row["close"]
        assert (close is None) == (expected is None)
        if close is not None:
            assert Decimal(close) == Decimal(str(expected))
    assert answer.headers["content-disposition"].startswith(
        'attachment; filename="data-'
    )


def test_numbers_and_times_are_exact(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(1), candle(2)], offset=1)
    exact = "1.123456789012345678"
    with engine.begin() as transaction:
        transaction.execute(
            text(
                f"UPDATE points SET close = {exact}, market_cap ="
                " 12345678901234567890 WHERE \"timestamp\" = '2024-01-01Z'"
            )
        )
    for form in FORMS:
        answer = get(
            api, format=form, fields="timestamp,close,market_cap"
        )
        row = rows_of(answer, form)[0]
        assert list(row) == ["timestamp", "close", "market_cap"]
        assert Decimal(row["close"]) == Decimal(exact)
        assert Decimal(row["market_cap"]) == 12345678901234567890
        assert str(row["timestamp"])[:10] == "2024-01-01"
    schema = pq.read_schema(
        io.BytesIO(get(api, format="parquet").content)
    )
    assert schema.field("close").type == pa.decimal128(38, 18)
    assert schema.field("timestamp").type == pa.timestamp("us", "UTC")


def test_the_oldest_comes_first(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(day) for day in range(20, 0, -1)], offset=1)
    rows = rows_of(get(api, format="csv", fields="timestamp"), "csv")
    times = [row["timestamp"] for row in rows]
    assert times == sorted(times)
    assert times[0] == "2024-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    "value",
    [
        "0.000000000000000000000000000001",
        # Scaled to 18 digits it is 3e40, which wraps around in 128 bits.
        "30000000000000000000000",
        "100000000000000000000.5",
        "-99999999999999999999999999999999999999",
    ],
)
@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_what_does_not_fit_is_no_file(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    value: str,
    form: str,
) -> None:
    load(engine, [candle(1)], offset=1)
    with engine.begin() as transaction:
        transaction.execute(text(f"UPDATE points SET close = {value}"))
    # Nothing had been sent: it is told in words.
    answer = api.get("/data", params={"format": form})
    assert answer.status_code == 422, answer.text
    assert f"too long for {form}" in answer.text
    assert value in get(api, format="csv").text


def test_a_client_that_leaves_before_the_first_byte_frees_its_turn(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(1)], offset=1)
    with engine.begin() as transaction:
        transaction.execute(text("LOCK points IN ACCESS EXCLUSIVE MODE"))
        for _ in range(export.MAX_OF_ROWS):
            with pytest.raises(httpx.ReadTimeout):
                api.get("/data", params={"format": "csv"}, timeout=1)
        until(
            "all turns",
            lambda: export._of_rows._value == export.MAX_OF_ROWS,
            10,
        )
        until("sessions to end", lambda: not sessions(engine), 10)
    assert get(api, format="csv").text.count("\n") == 2


def sessions(engine: Engine) -> int:
    """Of children that write files."""
    with engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name = 'gateway-file'"
            )
        )
        return int(found.scalar_one())


def test_a_file_that_breaks_looks_broken(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    for number in range(6):
        load(
            engine,
            [candle(day % 28 + 1) for day in range(900)],
            offset=number,
            stream=f"csv/set{number}/btc-usd.csv",
        )
    with engine.begin() as transaction:
        transaction.execute(
            text(
                'INSERT INTO points (id, series_id, "timestamp", close,'
                " value_hash, raw_time, raw_offset, normalizer_version,"
                " record_index, page_id, created_at)"
                " SELECT point_id('candle', at, gen_random_uuid()),"
                " (SELECT min(series_id) FROM series), at, 1, 1, 1, 1, 5, 0,"
                " gen_random_uuid(), now() FROM (SELECT"
                " '2024-01-02Z'::timestamptz + n * interval '1 second' AS at"
                " FROM generate_series(1, 60000) AS n) AS t"
            )
        )
        transaction.execute(
            text(
                "UPDATE points SET close = 1e-30 WHERE id ="
                " (SELECT id FROM points ORDER BY id DESC LIMIT 1)"
            )
        )
    for form in ("arrow", "parquet"):
        params = {"format": form}
        part: list[bytes] = []
        with api.stream("GET", "/data", params=params) as answer:
            blocks = answer.iter_bytes()
            with pytest.raises(httpx.RemoteProtocolError):
                part.extend(blocks)
        # What came is of no use alone either.
        whole = b"".join(part)
        assert len(whole) > 100_000
        with pytest.raises(pa.ArrowInvalid):
            read(whole, form)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("name", ["price", "title", "symbols"])
def test_a_row_of_nothing_is_a_row(
    api: httpx.Client,  # noqa: F811
    name: str,
) -> None:
    listed = get(api, limit=1000).json()
    for form in FORMS:
        found = rows_of(get(api, format=form, fields=name), form)
        assert len(found) == len(listed)
        known = [row for row in found if row[name] not in (None, "")]
        assert len(known) == len([row for row in listed if row[name]])


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/csv;q=0, application/json", "application/json"),
        ("text/csv;q=0.1,application/json;q=1", "application/json"),
        ("application/json;q=0.1, text/csv", "text/csv"),
        ("text/html,*/*;q=0.8", "application/json"),
        ("text/csv;q=nonsense, */*", "application/json"),
        ("text/csv;q=nan, */*", "application/json"),
        ("application/json-seq, text/csv", "text/csv"),
        ("text/*", "text/csv"),
    ],
)
def test_what_a_client_likes_most_counts(
    api: httpx.Client,  # noqa: F811
    accept: str,
    expected: str,
) -> None:
    for _ in range(2):
        answer = api.get("/data", headers={"Accept": accept})
        assert answer.headers["content-type"].startswith(expected)


@pytest.mark.usefixtures("filled")
def test_several_lines_of_accept_are_one_list(
    api: httpx.Client,  # noqa: F811
) -> None:
    lines = [
        ("Accept", "application/json;q=0.1"),
        ("Accept", "text/csv"),
    ]
    answer = api.get("/data", headers=lines)
    assert answer.headers["content-type"].startswith("text/csv")


@pytest.mark.usefixtures("filled")
def test_head_of_a_file_writes_none(
    api: httpx.Client,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "_parts", None)
    answer = api.head("/data", params={"format": "csv"})
    assert answer.status_code == 200
    assert "content-disposition" in answer.headers
    assert "content-length" not in answer.headers


@pytest.mark.usefixtures("filled")
def test_accept_says_the_form_too(
    api: httpx.Client,  # noqa: F811
) -> None:
    plain = api.get("/data", params={"symbol": "btc"})
    as_csv = api.get(
        "/data", params={"symbol": "btc"}, headers={"Accept": "text/csv"}
    )
    assert as_csv.headers["content-type"].startswith("text/csv")
    again = api.get("/data", params={"symbol": "btc"})
    assert again.json() == plain.json()
    refused = api.get(
        "/data",
        params={"symbol": "btc"},
        headers={"Accept": "application/pdf"},
    )
    assert refused.status_code == 406


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u2066", "\u061c", "\u180e", "\u034f"]
)
def test_cells_like_formulas_are_harmless(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    hidden: str,
) -> None:
    load(
        engine,
        [
            {
                "title": f"{hidden}=HYPERLINK(1) Bitcoin",
                "link": "http://x/1",
                "id": "http://x/1",
                "published": "Mon, 01 Jan 2024 05:00:00 GMT",
                "summary": "+1",
            }
        ],
        stream="rss/paper",
        context={},
    )
    (row,) = rows_of(get(api, format="csv"), "csv")
    assert (row["title"], row["summary"]) == (
        f"'{hidden}=HYPERLINK(1) Bitcoin",
        "'+1",
    )
    (exact,) = rows_of(get(api, format="ndjson"), "ndjson")
    assert exact["title"] == f"{hidden}=HYPERLINK(1) Bitcoin"


@pytest.mark.parametrize(
    "params",
    [
        {"format": "xlsx"},
        {"format": "csv", "skip": "1"},
        {"format": "csv", "limit": "5"},
        {"format": "csv", "cursor": "A" * 32},
    ],
)
def test_what_a_file_cannot_be_is_refused(
    api: httpx.Client,  # noqa: F811
    params: dict[str, str],
) -> None:
    assert api.get("/data", params=params).status_code == 422
