"""An upstream simulator on loopback: plays CoinPaprika and feeds, with faults on demand."""

from tests.simulator.server import Simulator

__all__ = ["Simulator"]
