"""Candles of any interval, made from those of a finer one or from prices."""
