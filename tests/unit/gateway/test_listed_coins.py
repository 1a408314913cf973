"""The coins that may be meant by a symbol, from CoinPaprika's own list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.extractor.sources.coinpaprika.coin_list import all_of
from services.gateway.instruments import listed
from services.gateway.instruments.search import Known
from shared.messages.checkpoints import Checkpoint
from shared.messages.serialization import raw_json

REAL = (
    Path(__file__).parents[4]
    / "shared/realdata/symbols/coinpaprika_coins.json"
)


class Kept:
    """Checkpoints with a list of coins, or none."""

    def __init__(self, coins: list[Any] | None) -> None:
        self._coins = coins

    def get(self, stream: str) -> Checkpoint | None:
        if self._coins is None:
            return None
        cursor = {
            "fetched_at": "2024-01-01T00:00:00+00:00",
            "coins": [],
            "listed": self._coins,
        }
        return Checkpoint(
            stream=stream,
            cursor=raw_json(cursor),
            raw_partition=0,
            raw_offset=-1,
        )


def test_without_a_list_the_built_in_one_counts() -> None:
    kept: Any = Kept(None)
    found = listed.coins_of(kept)
    assert found.listed_at is None
    assert found.of("btc")[0].id == "btc-bitcoin"


@pytest.mark.skipif(not REAL.exists(), reason="no real list of coins")
def test_the_real_list_has_all_candidates_by_rank() -> None:
    coins = json.loads(REAL.read_bytes())
    kept: Any = Kept(all_of(coins))
    found = listed.coins_of(kept)
    shared = [
        symbol
        for symbol, of_symbol in found.by_symbol.items()
        if len(of_symbol) > 1
    ]
    assert len(shared) == 1681
    ambiguous = [
        symbol
        for symbol, of_symbol in found.by_symbol.items()
        if Known(symbol, of_symbol).shown(None)["ambiguous"]
    ]
    assert len(ambiguous) == 590
    ranks = [coin.rank for coin in found.of("gold") if coin.is_active]
    assert ranks == sorted(ranks, key=lambda rank: rank or 10**9)
    assert found.of("btc")[0].id == "btc-bitcoin"
