"""The coins that CoinPaprika lists, by symbol. Without its list, the built-in one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import msgspec

from shared.kafka.checkpoint_log import COIN_LIST, CheckpointLog
from shared.messages.base import Source
from shared.messages.checkpoints import KeptCoins, ListedCoin
from shared.values.symbols import coins

_STREAM = f"{Source.COINPAPRIKA}/{COIN_LIST}"


@dataclass(frozen=True)
class CoinsBySymbol:
    """`by_symbol`: in lower case, well-ranked coins first. `listed_at`: None: the built-in list."""

    by_symbol: dict[str, list[ListedCoin]]
    listed_at: datetime | None

    def of(self, symbol: str) -> list[ListedCoin]:
        return self.by_symbol.get(symbol, [])


def coins_of(checkpoints: CheckpointLog) -> CoinsBySymbol:
    """As far as they are known now."""
    kept = checkpoints.get(_STREAM)
    cursor = b"null" if kept is None else bytes(kept.cursor)
    return _decoded(cursor)


@lru_cache(maxsize=2)
def _decoded(cursor: bytes) -> CoinsBySymbol:
    kept = msgspec.json.decode(cursor, type=KeptCoins | None)
    if kept is None or not kept.listed:
        return CoinsBySymbol(_by_symbol(_built_in()), None)
    return CoinsBySymbol(_by_symbol(kept.listed), kept.fetched_at)


def _built_in() -> list[ListedCoin]:
    return [
        ListedCoin(coin.id, coin.symbol, coin.name, rank, is_active=True)
        for rank, coin in enumerate(coins(), 1)
    ]


def _by_symbol(listed: list[ListedCoin]) -> dict[str, list[ListedCoin]]:
    found: dict[str, list[ListedCoin]] = {}
    for coin in listed:
        found.setdefault(coin.symbol.lower(), []).append(coin)
    return found
