"""Three sources to the REST API, as a user sees them."""

from __future__ import annotations

from datetime import date

from tests.simulator.server import Fault, Simulator, entry, rss, ticker
from tests.support.oracle import write_candles
from tests.support.stack import Stack


def test_three_sources_arrive_in_one_schema(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.feeds["late"] = rss(
        [entry(9, "Ethereum plunges as exchange hack drains $300M")]
    )
    file = write_candles(stack.csv_dir / "mine" / "btc-usd.csv", 1234)

    run = stack.ingest()

    assert run["status"] == "succeeded", run
    assert run["items_processed"] == 1234 + 2 + 6
    assert {
        name: counts["inserted"]
        for name, counts in run["sources"].items()
    } == {
        "csv": 1234,
        "coinpaprika": 2,
        "rss": 6,
    }
    assert stack.candles("csv/mine/btc-usd.csv") == file.candles
    stack.assert_ledger(run["run_id"], "csv/mine/btc-usd.csv", 1234)


def test_a_ticker_is_found_by_symbol_and_source(stack: Stack) -> None:
    (point,) = stack.api.get(
        "/data", params={"symbol": "BTC", "source": "coinpaprika"}
    ).json()
    assert (
        point["kind"],
        point["instrument"],
        point["symbol"],
        point["currency"],
        point["price"],
    ) == (
        "ticker",
        "btc-bitcoin",
        "btc",
        "USD",
        42000.5,
    )


def test_news_about_a_coin_is_found_by_its_symbol_and_has_a_sentiment(
    stack: Stack,
) -> None:
    (point,) = stack.api.get(
        "/data", params={"symbol": "eth", "source": "rss"}
    ).json()
    assert (
        point["title"] == "Ethereum plunges as exchange hack drains $300M"
    )
    assert point["sentiment"] < -0.4
    assert point["attributes"]["sentiment"]["words"]["hack"] < 0


def test_sources_tell_how_they_do_and_what_is_left_of_the_call_budget(
    stack: Stack, upstream: Simulator
) -> None:
    asked = sum(path.startswith("/v1/") for path, _ in upstream.requests)
    found = {
        source["name"]: source
        for source in stack.api.get("/sources").json()
    }
    assert found["coinpaprika"]["budget"]["used"] == asked
    assert (
        found["coinpaprika"]["streams"],
        found["coinpaprika"]["failing"],
        found["csv"]["budget"],
    ) == (2, [], None)
    assert found["rss"]["last_success_at"]


def test_news_about_a_coin_of_coinpaprikas_list_is_found_by_its_symbol(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.feeds["late"] = rss(
        [
            entry(8, "Zebra Quay (ZZQ) lists on two exchanges"),
            entry(9, "Ethereum plunges as exchange hack drains $300M"),
        ]
    )
    run = stack.ingest(streams=["rss/late"])
    assert (run["status"], run["inserted"]) == ("succeeded", 1)
    (point,) = stack.api.get("/data", params={"symbol": "zzq"}).json()
    assert point["symbols"] == ["zzq"]


def test_a_second_run_processes_only_what_is_new(
    stack: Stack, upstream: Simulator
) -> None:
    again = stack.ingest(sources=["csv", "rss"])
    assert (again["status"], again["items_processed"]) == ("succeeded", 0)
    assert "nothing new" in again["message"]

    upstream.feeds["late"] = rss(
        [entry(9, "Ethereum recovers"), entry(10, "A new one")]
    )
    upstream.tickers["btc-bitcoin"] = ticker(
        "btc-bitcoin", 43000.25, minute=5
    )
    with (stack.csv_dir / "mine" / "btc-usd.csv").open("a") as file:
        file.write("1704067200000,1,2,0.5,1.5,10\n")
    run = stack.ingest()

    assert (
        run["sources"]["csv"]["inserted"]
        == run["sources"]["csv"]["records"]
        == 1
    )
    assert run["sources"]["rss"] | {} == {
        **run["sources"]["rss"],
        "inserted": 1,
        "updated": 1,
        "records": 2,
    }
    assert run["sources"]["coinpaprika"]["inserted"] == 1
    assert run["sources"]["coinpaprika"]["unchanged"] == 1
    assert stack.query(
        "SELECT count(*) FROM unified_revisions AS r JOIN unified_data AS u USING (id)"
        " WHERE u.stream = ANY(%s)",
        ["rss/late", "csv/mine/btc-usd.csv", "coinpaprika/btc-bitcoin"],
    ) == [(1,)]


def test_a_file_that_is_ambiguous_is_refused_until_the_mapping_file_settles_it(
    stack: Stack,
) -> None:
    folder = stack.csv_dir / "unclear"
    folder.mkdir()
    (folder / "eth-eur.csv").write_text(
        "Date;Kurs\n"
        + "".join(f"{day:02}/02/2024;{day},5\n" for day in range(1, 12))
    )
    refused = stack.ingest(streams=["csv/unclear/eth-eur.csv"])
    (error,) = refused["errors"]
    assert (refused["status"], error["code"]) == (
        "failed",
        "ambiguous_date",
    )
    assert (
        stack.api.get(
            "/sources/csv/inspect", params={"path": "unclear/eth-eur.csv"}
        ).json()["refused"]["code"]
        == "ambiguous_date"
    )

    (stack.csv_dir / "mapping.yaml").write_text(
        error["message"].partition("mapping.yaml\n")[2]
    )
    try:
        run = stack.ingest(streams=["csv/unclear/eth-eur.csv"])
    finally:
        (stack.csv_dir / "mapping.yaml").unlink()
    assert (run["status"], run["inserted"]) == ("succeeded", 11)
    profile = run["tasks"][0]["profile"]
    assert (
        profile["kind"],
        profile["rows"],
        profile["series"][0]["currency"],
    ) == (
        "price",
        11,
        "EUR",
    )
    newest = stack.api.get(
        "/data", params={"dataset": "unclear", "limit": 1}
    ).json()[0]
    assert (newest["timestamp"], newest["price"], newest["currency"]) == (
        "2024-02-11T00:00:00Z",
        11.5,
        "EUR",
    )


def test_days_of_history_are_read_beside_the_live_prices(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.allowed_from = date(2024, 1, 9)
    before = stack.query(
        "SELECT stream, cursor FROM stream_state WHERE stream = 'coinpaprika/btc-bitcoin'"
    )
    answer = stack.api.post(
        "/ingest",
        json={
            "from": "2024-01-01",
            "to": "2024-02-01",
            "streams": ["coinpaprika/btc-bitcoin"],
        },
    )
    run = stack.wait_for(answer.json()["run_id"])
    assert (run["status"], run["inserted"]) == ("succeeded", 2 * 22)
    assert any(
        "plan allows history from 2024-01-10 on" in note
        for task in run["tasks"]
        for note in task["notes"]
    )
    assert stack.query(
        "SELECT kind, count(*)::int FROM unified_data WHERE dataset = 'daily' GROUP BY kind"
        " ORDER BY kind"
    ) == [
        ("candle", 22),
        ("price", 22),
    ]
    assert (
        stack.query(
            "SELECT stream, cursor FROM stream_state WHERE stream = 'coinpaprika/btc-bitcoin'"
        )
        == before
    )
    (candles,) = stack.api.get(
        "/series", params={"kind": "candle", "dataset": "daily"}
    ).json()
    assert (candles["points"], candles["first"], candles["last"]) == (
        22,
        "2024-01-10T00:00:00Z",
        "2024-01-31T00:00:00Z",
    )
    asked = stack.api.get(f"/series/{candles['id']}/asked").json()
    assert [
        (each["first"], each["last"], each["outcome"], each["reason"])
        for each in asked
    ] == [
        (
            "2024-01-10T00:00:00Z",
            "2024-01-31T23:59:59.999999Z",
            "answered",
            None,
        ),
        (
            "2024-01-01T00:00:00Z",
            "2024-01-09T23:59:59.999999Z",
            "failed",
            "plan_limit",
        ),
    ]


def test_days_that_cannot_be_had_were_asked_in_vain(
    stack: Stack, upstream: Simulator
) -> None:
    """Of a source that fails for good the rest of the days, and of one that has none all."""
    upstream.fail(
        "/v1/coins/eth-ethereum/ohlcv/historical",
        Fault(402, b'{"error": "not allowed in this plan"}'),
    )
    streams = [
        f"coinpaprika/eth-ethereum/{kind}/2023-03-01..2023-03-05"
        for kind in ("ohlcv", "historical")
    ]
    parents = [stream.rpartition("/")[0] for stream in streams]
    upstream.allowed_from = date(2000, 1, 1)
    stack.ingest(streams=streams)
    assert stack.query(
        "SELECT stream, outcome, reason, first_at::date::text, last_at::date::text FROM asked"
        " WHERE stream = ANY(%s) ORDER BY stream",
        parents,
    ) == [
        (parents[1], "answered", "", "2023-03-01", "2023-03-04"),
        (parents[0], "failed", "plan_limit", "2023-03-01", "2023-03-04"),
    ]


def test_a_source_that_fails_leaves_the_others_alone(
    stack: Stack, upstream: Simulator
) -> None:
    upstream.fail(
        "/v1/tickers/btc-bitcoin",
        Fault(402, b'{"error": "not allowed in this plan"}'),
    )
    upstream.fail(
        "/v1/tickers/eth-ethereum",
        Fault(503, headers={"retry-after": "1"}),
    )
    upstream.fail(
        "/feeds/news",
        Fault(
            200,
            b"<html><title>Just a moment</title></html>",
            {"content-type": "text/html"},
        ),
    )

    run = stack.ingest(sources=["coinpaprika", "rss"])

    assert run["status"] == "partial"
    assert {
        error["stream"]: error["code"] for error in run["errors"]
    } == {
        "coinpaprika/btc-bitcoin": "plan_limit",
        "rss/news": "not_a_feed",
    }
    assert (
        run["sources"]["coinpaprika"]["records"] == 1
    )  # eth came at the second attempt
    assert stack.query(
        "SELECT stream, outcome, reason FROM asked WHERE run_id = %s ORDER BY stream",
        run["run_id"],
    ) == [
        ("coinpaprika/btc-bitcoin", "failed", "plan_limit"),
        ("coinpaprika/eth-ethereum", "answered", ""),
        ("rss/late", "answered", ""),
        ("rss/news", "failed", "not_a_feed"),
    ]


def test_an_unknown_stream_fails_the_run_and_no_streams_succeed_with_a_word(
    stack: Stack,
) -> None:
    unknown = stack.ingest(streams=["csv/../../etc/passwd"])
    assert (unknown["status"], unknown["errors"][0]["code"]) == (
        "failed",
        "unknown_stream",
    )
    nothing = stack.ingest(streams=[])
    assert (nothing["status"], nothing["items_processed"]) == (
        "succeeded",
        0,
    )
    assert "no streams" in nothing["message"]


def test_bad_rows_become_dead_letters_and_good_rows_load(
    stack: Stack,
) -> None:
    path = stack.csv_dir / "odd" / "eth-usd.csv"
    path.parent.mkdir()
    path.write_text(
        "Date,Open,High,Low,Close,Volume\n2024-01-01,1,2,0.5,1.5,9\n"
        "2024-01-02,1,2,0.5,abc,9\n2024-01-03,1,2\n2024-01-04,,,,,\n"
        "2024-01-05,1,0.2,0.5,1.5,9\n01/02/2024,1,2,0.5,1.5,9\n2024-01-07,1,2,0.5,1.5,9\n"
    )

    run = stack.ingest(sources=["csv"])

    assert (
        run["status"],
        run["inserted"],
        run["skipped"],
        run["rejected"],
    ) == (
        "partial",
        2,
        1,
        4,
    )
    letters = stack.query(
        "SELECT reason, field, origin->>'line' FROM dead_letters WHERE run_id = %s ORDER BY"
        " origin->>'line'",
        run["run_id"],
    )
    assert letters == [
        ("not_a_number", "close", "3"),
        ("wrong_column_count", None, "4"),
        ("contradiction", "high", "6"),
        ("ambiguous_date", "time", "7"),
    ]


def test_compare_runs_names_what_differs(stack: Stack) -> None:
    runs = stack.api.get("/stats", params={"limit": 2}).json()
    answer = stack.api.get(
        "/compare-runs",
        params={"run_id_1": runs[1]["run_id"], "run_id_2": "latest"},
    ).json()
    assert answer["run_2"]["run_id"] == runs[0]["run_id"]
    assert answer["diff"]["items_processed"] == {
        "run_1": 0,
        "run_2": 2,
        "difference": 2,
    }
    assert answer["diff"]["sources"]["csv"]["rejected"]["difference"] == 4


def test_an_idempotency_key_names_one_run(stack: Stack) -> None:
    headers = {"Idempotency-Key": "once"}
    first = stack.api.post(
        "/ingest", json={"sources": ["rss"]}, headers=headers
    )
    again = stack.api.post(
        "/ingest", json={"sources": ["rss"]}, headers=headers
    )
    other = stack.api.post(
        "/ingest", json={"sources": ["csv"]}, headers=headers
    )
    assert (first.status_code, again.status_code, other.status_code) == (
        202,
        202,
        409,
    )
    assert first.json() == again.json()
    assert stack.wait_for(first.json()["run_id"])["status"] == "succeeded"
