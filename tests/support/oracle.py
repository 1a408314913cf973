"""What the tables must hold, computed from the input alone. Shares no code with the pipeline."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

Candle = tuple[datetime, Decimal, Decimal, Decimal, Decimal, Decimal]


@dataclass(frozen=True)
class CandleFile:
    """A CSV file of one-minute candles and what it says."""

    path: Path
    candles: list[Candle]


def write_candles(
    path: Path,
    rows: int,
    *,
    seed: int = 1,
    start: datetime = datetime(2023, 1, 1, tzinfo=UTC),
) -> CandleFile:
    """Write `rows` random candles, one a minute.

    As `time,open,high,low,close,volume` with epoch milliseconds.
    """
    rng = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    candles: list[Candle] = []
    with path.open("w") as file:
        file.write("time,open,high,low,close,volume\n")
        for n in range(rows):
            low = rng.randrange(10_000, 90_000)
            high = low + rng.randrange(0, 500)
            open_, close = rng.randint(low, high), rng.randint(low, high)
            cents = [
                Decimal(each).scaleb(-2)
                for each in (open_, high, low, close)
            ]
            volume = Decimal(rng.randrange(0, 10**9)).scaleb(-4)
            moment = start + timedelta(minutes=n)
            file.write(
                f"{int(moment.timestamp() * 1000)},{','.join(map(str, cents))},{volume}\n"
            )
            candles.append((moment, *cents, volume))  # type: ignore[arg-type]
    return CandleFile(path, candles)


def read_binance(path: Path) -> list[Candle]:
    """The candles of a file in Binance's layout.

    Open_time in ms, open, high, low, close, volume, …
    """
    candles = []
    for line in path.read_text().splitlines()[1:]:
        cells = line.split(",")
        moment = datetime.fromtimestamp(int(cells[0]) / 1000, UTC)
        candles.append((moment, *map(Decimal, cells[1:6])))
    return candles  # type: ignore[return-value]
