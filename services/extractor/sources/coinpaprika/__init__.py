"""CoinPaprika: live tickers, daily history, its list of coins, its call budget."""

from services.extractor.sources.coinpaprika.tickers import build

__all__ = ["build"]
