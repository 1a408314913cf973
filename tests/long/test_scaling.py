"""Several instances side by side."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.support.oracle import write_candles
from tests.support.product import KEY, until
from tests.support.stack import Stack, running


def test_three_normalizers_and_two_loaders_give_the_same_result(
    tmp_path: Path,
) -> None:
    files = {
        f"csv/set/coin{n}/btc-usd.csv": write_candles(
            tmp_path / "csv" / "set" / f"coin{n}" / "btc-usd.csv",
            8_000,
            seed=n,
        )
        for n in range(4)
    }
    streams = [f"csv/{n}/eth-usd.csv" for n in range(4)]
    files |= {
        stream: write_candles(tmp_path / stream, 8_000, seed=10 + n)
        for n, stream in enumerate(streams)
    }
    with running(
        tmp_path / "state",
        tmp_path / "csv",
        EXTRACTORS="2",
        NORMALIZERS="3",
        LOADERS="2",
    ) as stack:
        run = stack.ingest(timeout_s=180)

        assert (run["status"], run["records"]) == ("succeeded", 64_000)
        for stream in streams:  # a dataset each
            assert stack.candles(stream) == files[stream].candles
        for stream in files:
            stack.assert_ledger(run["run_id"], stream, 8_000)
        # The four files of one dataset name the same facts: one of them stands, the others were
        # replaced and are kept.
        assert stack.query(
            "SELECT count(*) FROM unified_data WHERE dataset = 'set'"
        ) == [(8_000,)]
        # A page that another loader overtook is older than what stands: unchanged.
        assert (run["inserted"], run["updated"] + run["unchanged"]) == (
            40_000,
            24_000,
        )


def test_two_gateways_share_a_port(tmp_path: Path) -> None:
    write_candles(tmp_path / "csv" / "set" / "btc-usd.csv", 100)
    with running(
        tmp_path / "state", tmp_path / "csv", GATEWAYS="2"
    ) as stack:
        assert stack.ingest()["inserted"] == 100
        until("both to answer", lambda: _both_answer(stack))
        dead = stack.pids("gateway")[0]
        stack.kill("gateway")
        until(
            "another takes its place",
            lambda: len(set(stack.pids("gateway")) - {dead}) == 2,
        )
        until("both to answer again", lambda: _both_answer(stack))


def _both_answer(stack: Stack) -> bool:
    """Whether both answer, of a hundred connections, each of which gets an answer."""
    before = _answers(stack)
    url = f"http://127.0.0.1:{stack.settings.api_port}/api/v1/data"
    for _ in range(100):
        answer = httpx.get(
            url,
            params={"limit": 1},
            headers={"x-api-key": KEY},
            trust_env=False,
        )
        assert (answer.status_code, len(answer.json())) == (200, 1)
    new = zip(_answers(stack), before, strict=True)
    return all(now > then + 10 for now, then in new)


def _answers(stack: Stack) -> list[int]:
    """How often each gateway was asked, from its log."""
    return [
        (stack.settings.logs / f"gateway-{number}.log")
        .read_text()
        .count("/api/v1/data")
        for number in (0, 1)
    ]
