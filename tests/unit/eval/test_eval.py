"""What `make eval` measures does not get worse.

Coins and sentiment on the real titles, where they are present.
"""

from __future__ import annotations

import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from eval import sets
from eval.__main__ import macro_f1, precision_recall
from services.normalizer.coins.tagger import coins_named
from services.normalizer.sentiment import score


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.realdata
@pytest.mark.skipif(
    not sets.REAL.exists(), reason="../shared/realdata is not there"
)
def test_coins_of_real_titles(language: str) -> None:
    precision, recall = precision_recall(sets.real("coins", language))
    assert (precision >= 0.95, recall >= 0.85) == (True, True)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.realdata
@pytest.mark.skipif(
    not sets.REAL.exists(), reason="../shared/realdata is not there"
)
def test_sentiment_of_real_titles_is_far_above_plain_vader(
    language: str,
) -> None:
    vader = SentimentIntensityAnalyzer()
    titles = sets.real("sentiment", language)
    ours = macro_f1(titles, lambda title: score(title, "").score)[1]
    assert (
        ours
        >= macro_f1(
            titles,
            lambda title: float(vader.polarity_scores(title)["compound"]),
        )[1]
        + 0.25
    )


@pytest.mark.parametrize(
    ("title", "coins"),
    [
        ("Link Between Inflation And Crypto Grows", []),
        ("Near Record Volumes Hit Exchanges", []),
        ("ONE TRADER MADE MILLIONS NEAR THE TOP", []),
        ("Flow of funds into ETFs", []),
        ("Optimism rises among traders", []),
        ("Avalanche of sell orders hits exchanges", []),
        ("NEAR Protocol upgrades", ["near"]),
        ("Oracle network says $LINK holders vote", ["link"]),
        ("Chainlink (LINK) jumps", ["link"]),
        ("Layer-2 Blast winds down", ["blast"]),
        ("Polygon cuts fees as Ethereum Classic forks", ["pol", "etc"]),
        ("Bitcoin Cash halves", ["bch"]),
        ("Bitcoin and ether slip, XRP holds", ["btc", "eth", "xrp"]),
        ("Flow blockchain halts", ["flow"]),
        ("DOGE lays off agency staff", []),
        ("DOGE gains 5%", ["doge"]),
        ("A ripple effect for lenders", []),
        ("Korean APT group drains bridge", []),
        ("Exchange names new CRO", []),
        ("CRO rallies", ["cro"]),
        ("ETH Zürich opens a lab", []),
        ("ZK rollups explained", []),
        ("Ethereum Name Service moves", ["ens"]),
        ("Ledger Nano reviewed", []),
    ],
)
def test_coins_are_told_from_words(title: str, coins: list[str]) -> None:
    assert coins_named(title) == coins


@pytest.mark.parametrize(
    ("title", "sign"),
    [
        ("Protocol recovers funds after hack", 1),
        ("Judge dismisses lawsuit against exchange", 1),
        ("Fears of contagion ease", 1),
        ("Bitcoin fails to break resistance", -1),
        ("Exchange halts withdrawals", -1),
        ("SEC rejects ETF application", -1),
        ("Shorts worth $200M liquidated", 1),
        ("Longs worth $200M liquidated", -1),
        ("What is a bear market?", 0),
        ("Mining difficulty adjusts on Thursday", 0),
        ("Network fees fall", 1),
        ("Fund inflows fall", -1),
        ("Losses mount", -1),
        ("Jitters sink miners", -1),
        ("Bitcoin climbs after hack", 1),
        ("Despite the crackdown, volumes surge", 1),
        ("Upgrade cancelled", -1),
        ("Partnership ends", -1),
        ("Three terms explained: slippage, rug pull, loss", 0),
        ("Exchange names new chief risk officer", 0),
        ("Ether slips below $3,000", -1),
        ("Bitcoin hits fresh all-time high", 1),
        ("Country lifts ban on mining", 1),
    ],
)
def test_phrases_mean_what_their_words_do_not(
    title: str, sign: int
) -> None:
    found = score(title, "")
    assert (found.score > 0.05) - (found.score < -0.05) == sign
    assert sign == 0 or found.words, "a score explains itself"
