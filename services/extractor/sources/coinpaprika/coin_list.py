"""CoinPaprika's list of coins: fetched once a day beside live prices, kept as a checkpoint, known to every extractor.

News are tagged with it: the coins that a page of entries may name go into the page's context, so that what is concluded from
a page depends on the page alone, now and in a replay. The built-in list of coins (shared/values/coins.json) is always known.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from services.extractor.checkpoints import CheckpointStore
from services.extractor.sources.base import parse_json
from services.extractor.sources.http_client import Answer
from shared.errors import TaskError
from shared.kafka.checkpoint_log import COIN_LIST
from shared.kafka.partitions import partition_of
from shared.messages.base import Source
from shared.messages.serialization import plain, raw
from shared.runtime import logs
from shared.values.symbols import coins

STREAM = f"{Source.COINPAPRIKA}/{COIN_LIST}"
MAX_COINS = 3_000  # by rank
KEPT = timedelta(days=1)
LOOK_EVERY = timedelta(hours=1)
_WORD = re.compile(r"[^\W_]+")
log = logs.get(__name__)


class CoinList:
    """(symbol, name) of the active coins, best rank first; of a symbol that several share, the best-ranked one."""

    def __init__(self, checkpoints: CheckpointStore) -> None:
        self._checkpoints = checkpoints
        self._not_before = datetime.min.replace(tzinfo=UTC)

    async def refresh(self, get: Callable[[str], Awaitable[Answer]]) -> None:
        """Fetch the list if it is older than a day. A failure is logged and tried again after an hour; live prices go on without it."""
        now = datetime.now(UTC)
        if now < self._not_before:
            return
        checkpoint = await self._checkpoints.latest(STREAM, partition_of(STREAM))
        self._not_before = now + LOOK_EVERY
        known = plain(checkpoint.cursor)
        if known and now - datetime.fromisoformat(known["fetched_at"]) < KEPT:
            return
        try:
            found = active(parse_json((await get("/coins")).body, "CoinPaprika's /coins"))
        except TaskError as error:
            log.warning("coin_list_not_fetched", code=error.code, error=error.message)
            return
        cursor = raw({"fetched_at": now.isoformat(), "coins": found})
        await self._checkpoints.publish(msgspec.structs.replace(checkpoint, cursor=cursor))
        log.info("coin_list_fetched", coins=len(found))

    def mentioned(self, texts: Iterable[str]) -> list[list[str]]:
        """The coins beyond the built-in ones whose symbol or name may occur in the texts."""
        known = self._checkpoints.get(STREAM)
        if known is None:
            return []
        words = {word for text in texts for word in _WORD.findall(text)}
        return [
            list(coin) for coin in _beyond_built_in(bytes(known.cursor)) if coin[0] in words or words.issuperset(_WORD.findall(coin[1]))
        ]


@lru_cache(maxsize=2)
def _beyond_built_in(cursor: bytes) -> tuple[tuple[str, str], ...]:
    built_in = {coin.symbol for coin in coins()}
    return tuple((symbol, name) for symbol, name in plain(msgspec.Raw(cursor))["coins"] if symbol not in built_in)


def active(listed: Any) -> list[tuple[str, str]]:
    """(symbol, name) of the active coins, best rank first. Raises TaskError `contract` for what is no list of coins."""
    if not isinstance(listed, list):
        raise TaskError("contract", f"CoinPaprika's /coins answered {str(listed)[:100]!r}, not a list of coins")
    ranked = sorted((coin for coin in listed if _is_usable(coin)), key=lambda coin: coin["rank"])
    best: dict[str, str] = {}
    for coin in ranked:
        best.setdefault(coin["symbol"].strip().upper(), coin["name"].strip())
    return list(best.items())[:MAX_COINS]


def _is_usable(coin: Any) -> bool:
    return (
        isinstance(coin, dict) and coin.get("is_active") is True and isinstance(coin.get("rank"), int) and coin["rank"] > 0
        and all(isinstance(coin.get(name), str) and 1 < len(coin[name].strip()) <= 100 for name in ("symbol", "name"))
    )  # fmt: skip
