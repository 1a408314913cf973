"""Coins that a text names."""

from __future__ import annotations

import pytest

from services.normalizer.coins.tagger import coins_named


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("Chainlink and $LINK rally", ["link"]),
        ("Click the link near the one", []),
        ("BTC and ETH fall", ["btc", "eth"]),
        ("Bitcoin Cash forks", ["bch"]),
        ("Ethereum Classic mined", ["etc"]),
        ("NEAR Protocol grows", ["near"]),
        ("Solana (SOL) up", ["sol"]),
        ("a solar farm", []),
        ("NEAR price jumps", ["near"]),
    ],
)
def test_coins_named_in_a_text(text: str, symbols: list[str]) -> None:
    assert coins_named(text) == symbols
