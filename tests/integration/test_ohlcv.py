"""Bars of any interval, held to a resampler that is as simple as can be."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Engine, text

from services.gateway.prices.intervals import Interval
from tests.integration.test_gateway import (  # noqa: F401  fixtures
    address,
    api,
    load,
)

Row = tuple[datetime, Decimal, Decimal, Decimal, Decimal, Decimal]
HOUR = timedelta(hours=1)
# A leap day, and both changes of the clocks in Europe and America.
SPANS = (
    (datetime(2024, 2, 26, tzinfo=UTC), 24 * 45),
    (datetime(2024, 10, 20, tzinfo=UTC), 24 * 20),
)
MONDAY = date(1970, 1, 5).toordinal()
EPOCH = date(1970, 1, 1).toordinal()


def hours(seed: int = 1) -> list[Row]:
    """Hourly candles with gaps."""
    chance = random.Random(seed)
    rows = []
    for start, count in SPANS:
        for n in range(count):
            if chance.random() < 0.1:
                continue
            low = Decimal(chance.randrange(100, 900)) / 10
            high = low + Decimal(chance.randrange(1, 50)) / 10
            open_, close = (
                low + (high - low) * Decimal(chance.randrange(11)) / 10
                for _ in range(2)
            )
            volume = Decimal(chance.randrange(1, 9999)) / 100
            rows.append(
                (start + n * HOUR, open_, high, low, close, volume)
            )
    return rows


def loaded(
    engine: Engine,
    rows: list[Row],
    *,
    dataset: str = "mine",
    time: str = "Open time",
    offset: int = 0,
    coin: str = "btc-usd",
    folder: str = "",
) -> None:
    """As a file of this dataset, in a folder below it."""
    cells = [
        [str(round(moment.timestamp() * 1000)), *map(str, values)]
        for moment, *values in rows
    ]
    columns = [time, "open", "high", "low", "close", "Volume BTC"]
    path = f"{dataset}/{folder}{coin}.csv"
    for number, first in enumerate(range(0, len(cells), 1000)):
        load(
            engine,
            cells[first : first + 1000],
            offset=offset + number,
            stream=f"csv/{path}",
            page_no=number,
            context={
                "path": path,
                "columns": columns,
                "preamble": [],
                "sample": cells[:20],
            },
        )


@pytest.fixture
def rows(engine: Engine) -> list[Row]:
    rows = hours()
    loaded(engine, rows)
    return rows


def begin(moment: datetime, interval: str, zone: ZoneInfo) -> datetime:
    """Where the bar of a moment begins, said in another way than the product does."""
    count, unit = int(interval[:-1]), interval[-1]
    if unit in "mh":
        size = count * (60 if unit == "m" else 3600)
        seconds = int(moment.timestamp())
        return datetime.fromtimestamp(seconds - seconds % size, UTC)
    day = moment.astimezone(zone).date()
    if unit == "M":
        months = (day.year - 1970) * 12 + day.month - 1
        months -= months % count
        day = date(1970 + months // 12, months % 12 + 1, 1)
    else:
        size, anchor = (
            (7 * count, MONDAY) if unit == "w" else (count, EPOCH)
        )
        back = (day.toordinal() - anchor) % size
        day -= timedelta(days=back)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(
        UTC
    )


def resampled(
    rows: list[Row], interval: str, zone: ZoneInfo
) -> list[dict[str, Any]]:
    bars: dict[datetime, list[Row]] = {}
    for row in rows:
        bars.setdefault(begin(row[0], interval, zone), []).append(row)
    return [
        {
            "open_time": start,
            "open": float(of_bar[0][1]),
            "high": float(max(row[2] for row in of_bar)),
            "low": float(min(row[3] for row in of_bar)),
            "close": float(of_bar[-1][4]),
            "volume": float(sum(row[5] for row in of_bar)),
            "points": len(of_bar),
        }
        for start, of_bar in sorted(bars.items())
    ]


def asked(api: httpx.Client, **params: Any) -> dict[str, Any]:  # noqa: F811
    answer = api.get("/ohlcv", params={"symbol": "btc", **params})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def bars_of(api: httpx.Client, **params: Any) -> list[dict[str, Any]]:  # noqa: F811
    (series,) = asked(api, **params)["series"]
    for bar in series["bars"]:
        for end in ("open_time", "close_time"):
            bar[end] = datetime.fromisoformat(bar[end])
    bars: list[dict[str, Any]] = series["bars"]
    return bars


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo")
INTERVALS = ("1h", "2h", "4h", "1d", "3d", "1w", "2w", "1M", "3M")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("interval", INTERVALS)
def test_bars_are_those_of_a_naive_resampler(
    api: httpx.Client,  # noqa: F811
    rows: list[Row],
    interval: str,
    zone: str,
) -> None:
    found = [
        bar
        for times in ({"to": "2024-06-01"}, {"from": "2024-06-01"})
        for bar in bars_of(
            api, interval=interval, tz=zone, limit=5000, **times
        )
    ]
    expected = resampled(rows, interval, ZoneInfo(zone))
    assert [
        {name: bar[name] for name in expected[0]} for bar in found
    ] == expected
    for bar, after in pairwise(found):
        assert bar["close_time"] <= after["open_time"]
        length = (bar["close_time"] - bar["open_time"]) / HOUR
        assert bar["complete"] == (bar["points"] >= length)
        assert bar["base_volume"] == bar["volume"]
        assert bar["quote_volume"] is None


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_lead_through_all_bars_once(
    api: httpx.Client,  # noqa: F811
    rows: list[Row],
    order: str,
) -> None:
    params: dict[str, Any] = {
        "symbol": "btc",
        "interval": "4h",
        "limit": 37,
        "order": order,
        "from": "2024-03-01",
        "to": "2024-10-25T03:00:00Z",
    }
    seen = []
    answer = api.get("/ohlcv", params=params)
    while True:
        seen += [
            bar["open_time"] for bar in answer.json()["series"][0]["bars"]
        ]
        if "next" not in answer.links:
            break
        url = answer.links["next"]["url"].removeprefix("/api/v1")
        answer = api.get(url)
        assert answer.status_code == 200, answer.text
    expected = [
        bar["open_time"]
        for bar in resampled(rows, "4h", ZoneInfo("UTC"))
        if datetime(2024, 3, 1, tzinfo=UTC)
        <= bar["open_time"]
        < datetime(2024, 10, 25, 3, tzinfo=UTC)
    ]
    if order == "desc":
        expected.reverse()
    assert [datetime.fromisoformat(text) for text in seen] == expected


@pytest.mark.usefixtures("rows")
def test_without_times_the_newest_bars(api: httpx.Client) -> None:  # noqa: F811
    everything = bars_of(api, interval="1d", limit=5000, fill="null")
    assert (
        bars_of(api, interval="1d", limit=3, fill="null")
        == (everything[-3:])
    )
    assert (
        bars_of(api, interval="1d", limit=3, fill="null", order="desc")
        == (everything[-3:][::-1])
    )


def test_bars_without_trades(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    one, two = Decimal(1), Decimal(2)
    loaded(
        engine,
        [
            (start + n * HOUR, one, two, one, two - n / Decimal(10), one)
            for n in (0, 1, 5)
        ],
    )
    times = {"from": "2024-01-01T01:00:00Z", "to": "2024-01-01T06:00:00Z"}

    def closes(fill: str, **more: Any) -> list[Any]:
        return [
            (bar["open_time"].hour, bar["close"], bar["points"])
            for bar in bars_of(
                api, interval="1h", fill=fill, **{**times, **more}
            )
        ]

    assert closes("none") == [(1, 1.9, 1), (5, 1.5, 1)]
    assert closes("null") == [
        (1, 1.9, 1),
        (2, None, 0),
        (3, None, 0),
        (4, None, 0),
        (5, 1.5, 1),
    ]
    carried = [(2, 1.9, 0), (3, 1.9, 0), (4, 1.9, 0), (5, 1.5, 1)]
    assert closes("previous") == [(1, 1.9, 1), *carried]
    later = {"from": "2024-01-01T02:00:00Z"}
    assert (
        closes("previous", **later) == carried
    )  # from before the window
    whole = bars_of(api, interval="6h", **{"from": "2024-01-01"})
    assert [(bar["points"], bar["complete"]) for bar in whole] == [
        (3, False)
    ]


# Exporters write the end of a candle as that, or as the last millisecond of it.
@pytest.mark.parametrize("early", [0, 1])
def test_candles_that_say_their_end(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    early: int,
) -> None:
    rows = hours(2)
    shifted = [
        (moment + HOUR - timedelta(milliseconds=early), *values)
        for moment, *values in rows
    ]
    loaded(engine, shifted, time="Close time")
    for interval in ("1h", "4h"):
        found = bars_of(api, interval=interval, limit=1)
        assert [(bar["open_time"], bar["close"]) for bar in found] == [
            (bar["open_time"], bar["close"])
            for bar in resampled(rows, interval, ZoneInfo("UTC"))[-1:]
        ]
    found = bars_of(api, interval="1d", limit=5000)
    expected = resampled(rows, "1d", ZoneInfo("UTC"))
    assert [bar["open_time"] for bar in found] == [
        bar["open_time"] for bar in expected
    ]
    assert [bar["close"] for bar in found] == [
        bar["close"] for bar in expected
    ]


def test_a_candle_that_ends_where_bars_begin_is_known_then(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one, two = Decimal(1), Decimal(2)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    loaded(
        engine,
        [
            (start + n * HOUR, one, two, one, one + n / Decimal(10), one)
            for n in (1, 2, 4)
        ],
        time="Close time",
    )
    found = bars_of(
        api,
        interval="1h",
        fill="previous",
        **{"from": "2024-01-01T02:00:00Z", "to": "2024-01-01T09:00:00Z"},
    )
    assert [(bar["close"], bar["points"]) for bar in found] == [
        (1.2, 0),
        (1.4, 1),
    ]


@pytest.mark.parametrize(
    "zone",
    [
        "America/Santiago",
        "Africa/Cairo",
        "Asia/Beirut",
        "Atlantic/Azores",
    ],
)
def test_zones_whose_clocks_change_at_midnight(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    zone: str,
) -> None:
    one, two = Decimal(1), Decimal(2)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    rows: list[Row] = [
        (start + n * HOUR, one, two, one, two, one)
        for n in range(24 * 366)
    ]
    loaded(engine, rows)
    seen = []
    params: dict[str, Any] = {
        "symbol": "btc",
        "interval": "1d",
        "tz": zone,
        "limit": 50,
        "from": "2024-01-03",
        "fill": "null",
    }
    answer = api.get("/ohlcv", params=params)
    while True:
        seen += answer.json()["series"][0]["bars"]
        if "next" not in answer.links:
            break
        answer = api.get(
            answer.links["next"]["url"].removeprefix("/api/v1")
        )
    for bar, after in pairwise(seen):
        assert bar["close_time"] == after["open_time"]
        begun, ended = (
            datetime.fromisoformat(bar[name])
            for name in ("open_time", "close_time")
        )
        assert bar["points"] == (ended - begun) / HOUR
        assert bar["complete"] is True
    lengths = {bar["points"] for bar in seen[:-1]}
    assert lengths == {23, 24, 25}
    assert len(seen) in (363, 364)


def test_months_of_months_are_complete_with_all_of_them(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one, two = Decimal(1), Decimal(2)
    months = [
        datetime(2023, month, 1, tzinfo=UTC) for month in range(1, 13)
    ]
    loaded(
        engine,
        [
            (month, one, two, one, two, one)
            for month in months[:4] + months[6:]
        ],
    )
    found = bars_of(api, interval="3M")
    assert [(bar["points"], bar["complete"]) for bar in found] == [
        (3, True),
        (1, False),
        (3, True),
        (3, True),
    ]


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("interval", "limit"),
    [
        ("60M", 500),
        ("999M", 5000),
        ("52w", 5000),
        ("999d", 5000),
        ("999h", 5000),
    ],
)
def test_more_bars_than_the_calendar_has(
    api: httpx.Client,  # noqa: F811
    interval: str,
    limit: int,
) -> None:
    for order in ("asc", "desc"):
        for more in ({}, {"from": "1960-01-01"}):
            assert bars_of(
                api, interval=interval, limit=limit, order=order, **more
            )


def test_weeks_are_not_made_into_sevens_of_days(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    one, two = Decimal(1), Decimal(2)
    monday = datetime(2024, 1, 1, tzinfo=UTC)
    loaded(
        engine,
        [
            (monday + n * timedelta(days=7), one, two, one, two, one)
            for n in range(9)
        ],
    )
    assert len(bars_of(api, interval="1w")) == 9
    answer = api.get("/ohlcv", params={"symbol": "btc", "interval": "7d"})
    assert answer.status_code == 422


def test_values_that_were_pruned_are_not_left_out_silently(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
    rows: list[Row],
) -> None:
    assert rows
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "INSERT INTO pruned (what, before)"
                " VALUES ('unified_revisions', '2024-06-01Z')"
            )
        )
    params = {"symbol": "btc", "interval": "1d", "as_of": "2024-05-01"}
    answer = api.get("/ohlcv", params=params)
    assert answer.status_code == 410, answer.text
    assert "REVISIONS_RETENTION" in answer.text


def test_the_rule_by_which_a_series_is_chosen_is_said(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    one, two = Decimal(1), Decimal(2)
    hourly = [
        (start + n * HOUR, one, two, one, two, one) for n in range(96)
    ]
    daily = [
        (start + n * 24 * HOUR, one, two, one, two, one) for n in range(4)
    ]
    loaded(engine, hourly, dataset="hourly")
    loaded(engine, daily, dataset="daily", offset=10)
    found = asked(api, interval="1d")
    assert "coarsest" in found["rule"]
    assert [each["dataset"] for each in found["series"]] == ["daily"]
    assert [each["dataset"] for each in found["others"]] == ["hourly"]
    assert [
        each["dataset"] for each in asked(api, interval="4h")["series"]
    ] == ["hourly"]
    each = asked(api, interval="1d", dataset="all")["series"]
    assert [series["dataset"] for series in each] == ["daily", "hourly"]
    assert [len(series["bars"]) for series in each] == [4, 4]
    # Days of another calendar cannot be made of days.
    of_berlin = asked(api, interval="1d", tz="Europe/Berlin")["series"]
    assert [series["dataset"] for series in of_berlin] == ["hourly"]


def test_bars_as_they_were(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    one, two = Decimal(1), Decimal(2)
    rows = [(start + n * HOUR, one, two, one, two, one) for n in range(4)]
    loaded(engine, rows)
    before = datetime.now(UTC).isoformat()
    changed = (rows[1][0], one, Decimal(9), one, two, one)
    loaded(engine, [rows[0], changed, *rows[2:]], offset=5)
    assert bars_of(api, interval="4h")[0]["high"] == 9
    then = bars_of(api, interval="4h", as_of=before)
    assert (then[0]["high"], then[0]["points"]) == (2, 4)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize(
    ("params", "status", "said"),
    [
        ({}, 422, "interval"),
        ({"interval": "1h"}, 422, "give `symbol`"),
        ({"interval": "7x", "symbol": "btc"}, 422, "interval"),
        ({"interval": "0h", "symbol": "btc"}, 422, "interval"),
        ({"interval": "1m", "symbol": "btc"}, 422, "whole candles of 1h"),
        ({"interval": "90m", "symbol": "btc"}, 422, "whole candles"),
        ({"interval": "1h", "symbol": "none"}, 404, "no series"),
        (
            {"interval": "1h", "symbol": "btc", "tz": "Mars"},
            422,
            "time zone",
        ),
        (
            {"interval": "1h", "symbol": "btc", "limit": "9999"},
            422,
            "5000",
        ),
        ({"interval": "1h", "symbol": "btc", "fil": "x"}, 422, "fill"),
        (
            {
                "interval": "1h",
                "symbol": "btc",
                "from": "2025",
                "to": "2024",
            },
            422,
            "from",
        ),
    ],
)
def test_what_cannot_be_answered_is_said(
    api: httpx.Client,  # noqa: F811
    params: dict[str, str],
    status: int,
    said: str,
) -> None:
    answer = api.get("/ohlcv", params=params)
    assert answer.status_code == status, answer.text
    assert said in answer.text


def test_outside_of_the_data_there_is_nothing(
    api: httpx.Client,  # noqa: F811
    rows: list[Row],
) -> None:
    assert rows
    assert bars_of(api, interval="1h", **{"from": "2030-01-01"}) == []
    assert bars_of(api, interval="1h", to="2000-01-01") == []
    for interval in ("1h", "1w", "12M"):
        for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
            whole = {
                "interval": interval,
                "tz": zone,
                "from": "0001-01-01",
                "to": "9999-12-31T23:59:59.999999Z",
                "limit": 1,
                "fill": "previous",
            }
            assert len(bars_of(api, **whole)) == 1
            assert bars_of(api, **{**whole, "to": "0001-01-01"}) == []
            assert bars_of(api, **{**whole, "from": "9999-12-31"}) == []


@pytest.mark.parametrize(
    "text", ["", "h", "0h", "1x", "-1h", "1.5h", "99999h"]
)
def test_what_is_no_interval(text: str) -> None:
    assert Interval.parse(text) is None


def test_files_of_one_market_are_one_series(
    api: httpx.Client,  # noqa: F811
    engine: Engine,
) -> None:
    rows = hours()
    for number, first in enumerate(range(0, len(rows), 300)):
        loaded(
            engine,
            rows[first : first + 300],
            offset=number,
            folder=f"{number}/",
        )
    found = asked(api, interval="1d", limit=5000)
    (series,) = found["series"]
    assert len(series["ids"]) == len(range(0, len(rows), 300))
    assert found["others"] == []
    expected = resampled(rows, "1d", ZoneInfo("UTC"))
    assert [bar["close"] for bar in series["bars"]] == [
        bar["close"] for bar in expected
    ]
    then = {"as_of": datetime.now(UTC).isoformat()}
    assert asked(api, interval="1d", limit=5000, **then)["series"] == [
        series
    ]
    moment = rows[310][0] + HOUR
    answer = api.get(
        "/price", params={"symbol": "btc", "at": moment.isoformat()}
    ).json()
    assert answer["price"] == float(rows[310][4])
    assert answer["seconds_before"] == 0
    # Between the two spans the last price is that of another file, or of the one before.
    late = api.get(
        "/price", params={"symbol": "btc", "at": "2024-09-01T00:00:00Z"}
    ).json()
    (last,) = [row for row in rows if row[0].month < 9][-1:]
    assert late["price"] == float(last[4])
