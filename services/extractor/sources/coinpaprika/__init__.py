"""CoinPaprika: live tickers, daily history, its list of coins, its call budget."""
