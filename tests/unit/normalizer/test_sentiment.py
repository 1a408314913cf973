"""Sentiment of headlines."""

from __future__ import annotations

import pytest

from services.normalizer.sentiment import score


@pytest.mark.parametrize(
    ("headline", "sign"),
    [
        ("Bitcoin plunges 20% as exchange hack drains $300M", -1),
        ("BTC surges to all-time high, bulls moon", 1),
        ("Tether depegs amid liquidation cascade", -1),
        ("FTX files for bankruptcy", -1),
        ("Developers meet in Prague", 0),
    ],
)
def test_sentiment_knows_crypto(headline: str, sign: int) -> None:
    sentiment = score(headline, "")
    assert (sentiment.score > 0.3) - (sentiment.score < -0.3) == sign
    assert bool(sentiment.words) == bool(sign)
