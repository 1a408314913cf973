"""Questions about prices: candles of any interval, the price at a moment."""
