"""Bars, changes and the sentiment of news as files: the same as their lists, and all of them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from services.gateway.live import feed
from tests.integration.test_changes import all_since
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)
from tests.integration.test_news_questions import filled
from tests.integration.test_ohlcv import Row, hours, loaded
from tests.support.file_rows import FORMS, rows_of
from tests.support.pages import candle

__all__ = ["filled"]
CSV = {"format": "csv"}


def file(
    api: httpx.Client,  # noqa: F811
    path: str,
    form: str,
    **params: Any,
) -> list[dict[str, Any]]:
    answer = api.get(path, params={"format": form, **params})
    assert answer.status_code == 200, answer.text
    name = path.rpartition("/")[2]
    assert answer.headers["content-disposition"].startswith(
        f'attachment; filename="{name}-'
    )
    return rows_of(answer, form)


def plain(value: Any) -> Any:
    """What forms write in their own way: numbers and times."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, str):
        for read in (Decimal, datetime.fromisoformat):
            try:
                return read(value)
            except (ArithmeticError, ValueError):
                continue
        return {"true": True, "false": False}.get(value, value)
    if isinstance(value, float | int) and not isinstance(value, bool):
        return Decimal(str(value))
    return value


def alike(
    rows: list[dict[str, Any]], listed: list[dict[str, Any]], *names: str
) -> None:
    def shown(each: dict[str, Any]) -> list[Any]:
        return [plain(each[name]) for name in names]

    assert list(map(shown, rows)) == list(map(shown, listed))


@pytest.fixture
def rows(engine: Engine) -> list[Row]:
    rows = hours()
    loaded(engine, rows)
    loaded(engine, rows[:50], dataset="other", offset=50)
    return rows


OF_BARS = (
    "open_time",
    "close_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "points",
    "complete",
)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("form", FORMS)
def test_bars_are_those_of_the_list(
    api: httpx.Client,  # noqa: F811
    form: str,
) -> None:
    params = {"symbol": "btc", "interval": "4h", "tz": "Europe/Berlin"}
    listed = api.get("/ohlcv", params={**params, "limit": 5000}).json()
    (series,) = listed["series"]
    found = file(api, "/ohlcv", form, **params)
    assert len(found) > 300
    alike(found, series["bars"], *OF_BARS)
    assert {row["dataset"] for row in found} == {"mine"}
    both = file(api, "/ohlcv", form, dataset="all", **params)
    assert {row["dataset"] for row in both} == {"mine", "other"}
    part = {"from": "2024-03-01", "to": "2024-03-03", **params}
    assert len(file(api, "/ohlcv", form, **part)) == 12
    none = {"from": "1999-01-01", "to": "1999-01-02", **params}
    assert file(api, "/ohlcv", form, **none) == []


@pytest.mark.usefixtures("rows")
def test_bars_without_trades_are_filled_in_a_file_too(
    api: httpx.Client,  # noqa: F811
) -> None:
    params = {
        "symbol": "btc",
        "interval": "1h",
        "fill": "previous",
        "to": "2024-04-01",
    }
    listed = api.get("/ohlcv", params={**params, "limit": 5000}).json()
    (series,) = listed["series"]
    found = file(api, "/ohlcv", "csv", **params)
    alike(found, series["bars"], "open_time", "close", "points")


@pytest.mark.parametrize("as_of", [{}, {"as_of": "2100-01-01T00:00:00Z"}])
def test_a_file_of_more_bars_than_a_query_makes(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    as_of: dict[str, str],
) -> None:
    rows = [
        (datetime(2024, 1, day, tzinfo=UTC), *(Decimal(day),) * 5)
        for day in range(1, 31)
    ]
    loaded(engine, rows)
    loaded(engine, rows, dataset="finer", offset=9)
    with engine.begin() as transaction:
        transaction.execute(
            text("""UPDATE series SET "interval" = '1m'""")
        )
    found = file(
        api,
        "/ohlcv",
        "csv",
        symbol="btc",
        interval="1m",
        fill="previous",
        **as_of,
    )
    minutes = 29 * 24 * 60 + 1
    assert len(found) == minutes
    times = [row["open_time"] for row in found]
    assert times == sorted(set(times))
    assert all(
        Decimal(row["close"]) == int(row["open_time"][8:10])
        for row in found
    )


def test_a_file_has_every_series(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    rows = [
        (datetime(2024, 1, day, tzinfo=UTC), *(Decimal(day),) * 5)
        for day in range(1, 9)
    ]
    datasets = {f"set{number}" for number in range(23)}
    for offset, dataset in enumerate(sorted(datasets)):
        loaded(engine, rows, dataset=dataset, offset=offset)
    params = {"symbol": "btc", "interval": "1d", "dataset": "all"}
    listed = api.get("/ohlcv", params=params).json()
    assert len(listed["series"]) == 20
    found = file(api, "/ohlcv", "csv", **params)
    assert {row["dataset"] for row in found} == datasets


def test_a_dataset_like_a_formula_is_harmless(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    loaded(engine, hours()[:9], dataset="=1+1")
    (row, *_) = file(api, "/ohlcv", "csv", symbol="btc", interval="1h")
    assert row["dataset"] == "'=1+1"
    (row, *_) = file(api, "/changes", "csv")
    assert row["dataset"] == "'=1+1"


@pytest.mark.parametrize("form", FORMS)
def test_changes_are_those_of_the_list(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    form: str,
) -> None:
    for number in range(4):
        load(
            engine,
            [candle(day, close=f"1.{number}5") for day in range(1, 8)],
            offset=number,
        )
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "UPDATE points SET retired_at = now(), revision ="
                " revision + 1 WHERE \"timestamp\" < '2024-01-03Z'"
            )
        )
    listed = list(all_since(api, "oldest"))
    assert len(listed) == 30
    found = file(api, "/changes", form)
    alike(found, listed, "change", "seq", "at", "id", "value")
    closes = [
        plain((each["point"] or {}).get("close")) for each in listed
    ]
    assert [plain(row["close"]) for row in found] == closes
    assert file(api, "/changes", form, symbol="eth") == []
    # From the midst of what became visible at once.
    part = api.get("/changes", params={"limit": 3}).json()["next"]
    rest = file(api, "/changes", form, since=part)
    alike(rest, listed[3:], "seq", "id")


def test_a_file_of_changes_says_where_to_go_on(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    load(engine, [candle(1)], offset=1)
    token = api.get("/changes", params=CSV).headers["x-next"]
    assert (
        rows_of(
            api.get("/changes", params={"since": token, **CSV}), "csv"
        )
        == []
    )
    load(engine, [candle(2)], offset=2)
    (row,) = file(api, "/changes", "ndjson", since=token)
    assert row["timestamp"].startswith("2024-01-02")


def test_changes_that_are_pruned_meanwhile_are_not_left_out_silently(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load(engine, [candle(1)], offset=1)
    with engine.begin() as transaction:
        transaction.execute(text("DELETE FROM changes"))
        transaction.execute(text("UPDATE change_position SET oldest = 2"))
    token = feed.Place(bytes(8), 0)
    monkeypatch.setattr(feed, "_refuse_gone", lambda *_: None)
    answer = api.get("/changes", params={"since": token.encode(), **CSV})
    assert answer.status_code == 503
    assert "changes are kept from 2 on" in answer.text


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("form", FORMS)
def test_sentiment_is_that_of_the_list(
    api: httpx.Client,  # noqa: F811
    form: str,
) -> None:
    params = {"symbol": "btc", "interval": "1h"}
    listed = api.get("/sentiment", params=params).json()["bars"]
    found = file(api, "/sentiment", form, **params)
    names = set(listed[0]) - {"headlines"}
    alike(found, listed, *sorted(names))
    assert "plunges" in str(found[0]["headlines"])
    assert file(api, "/sentiment", form, symbol="none") == []


@pytest.mark.parametrize("path", ["/ohlcv", "/changes", "/sentiment"])
@pytest.mark.parametrize(
    "given",
    [
        {"format": "csv", "limit": "5"},
        {"format": "xlsx"},
        {"headers": {"Accept": "application/pdf"}},
    ],
)
def test_what_a_file_cannot_be_is_refused(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    path: str,
    given: dict[str, Any],
) -> None:
    loaded(engine, hours()[:9])
    params: dict[str, Any] = dict(given)
    headers = params.pop("headers", {})
    if path != "/changes":
        params["symbol"] = "btc"
    if path == "/ohlcv":
        params["interval"] = "1h"
    answer = api.get(path, params=params, headers=headers)
    assert answer.status_code == (406 if headers else 422)


@pytest.mark.usefixtures("rows")
def test_accept_says_the_form_after_a_kept_answer_too(
    api: httpx.Client,  # noqa: F811
) -> None:
    params = {"symbol": "btc", "interval": "1d"}
    for _ in range(2):
        assert api.get("/ohlcv", params=params).json()
    answer = api.get(
        "/ohlcv", params=params, headers={"Accept": "text/csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv")
