"""CoinPaprika's list of coins: fetched once a day beside live prices, kept as a checkpoint.

News are tagged with it: the coins that a page of entries may name go into the page's context, so
that what is inferred from a page depends on the page alone, now and in a replay. The built-in list
of coins (shared/values/coins.json) is always known.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from services.extractor.checkpoints import CheckpointStore
from services.extractor.sources.answer import Answer
from services.extractor.sources.base import parse_json
from shared.errors import TaskError
from shared.kafka.checkpoint_log import COIN_LIST
from shared.kafka.partitions import partition_of
from shared.messages.base import Json, Source
from shared.messages.checkpoints import ListedCoin
from shared.messages.serialization import raw_json, to_python
from shared.runtime import logs
from shared.values.symbols import coins

STREAM = f"{Source.COINPAPRIKA}/{COIN_LIST}"
MAX_COINS = 3_000  # by rank
MAX_LISTED = 20_000
MAX_NAME = 100
KEPT = timedelta(days=1)
LOOK_EVERY = timedelta(hours=1)
_WORD = re.compile(r"[^\W_]+")
log = logs.get(__name__)


class CoinList:
    """(symbol, name) of the active coins, best rank first.

    Of a symbol that several share it has the best-ranked one.
    """

    def __init__(self, checkpoints: CheckpointStore) -> None:
        self._checkpoints = checkpoints
        self._not_before = datetime.min.replace(tzinfo=UTC)

    async def refresh(
        self, get: Callable[[str], Awaitable[Answer]]
    ) -> None:
        """Fetch the list if it is older than a day.

        A failure is logged and tried again after an hour; live prices go on without it.
        """
        now = datetime.now(UTC)
        if now < self._not_before:
            return
        partition = partition_of(STREAM)
        checkpoint = await self._checkpoints.latest(STREAM, partition)
        self._not_before = now + LOOK_EVERY
        if _is_fresh(to_python(checkpoint.cursor), now):
            return
        try:
            answer = await get("/coins")
            found = parse_json(answer, "CoinPaprika's /coins")
            coins = active(found)
        except TaskError as error:
            code = error.code
            log.warning(
                "coin_list_not_fetched", code=code, error=error.message
            )
            return
        cursor = raw_json(
            {
                "fetched_at": now.isoformat(),
                "coins": coins,
                "listed": all_of(found),
            }
        )
        following = msgspec.structs.replace(checkpoint, cursor=cursor)
        await self._checkpoints.publish(following)
        log.info("coin_list_fetched", coins=len(coins))

    def mentioned(self, texts: Iterable[str]) -> list[list[str]]:
        """The coins beyond the built-in ones whose symbol or name may occur in the texts."""
        known = self._checkpoints.get(STREAM)
        if known is None:
            return []
        words = {word for text in texts for word in _WORD.findall(text)}
        return [
            [symbol, name]
            for symbol, name in _beyond_built_in(bytes(known.cursor))
            if symbol in words or words.issuperset(_WORD.findall(name))
        ]


def _is_fresh(known: Json | None, now: datetime) -> bool:
    if not known or "listed" not in known:  # as older releases kept it
        return False
    return now - datetime.fromisoformat(known["fetched_at"]) < KEPT


@lru_cache(maxsize=2)
def _beyond_built_in(cursor: bytes) -> tuple[tuple[str, str], ...]:
    built_in = {coin.symbol for coin in coins()}
    listed = (to_python(msgspec.Raw(cursor)) or {}).get("coins", ())
    return tuple(
        (symbol, name)
        for symbol, name in listed
        if symbol not in built_in
    )


def active(listed: Any) -> list[tuple[str, str]]:
    """(symbol, name) of the active coins, best rank first.

    Raises TaskError `contract` for what is not a list of coins.
    """
    if not isinstance(listed, list):
        shown = str(listed)[:100]
        message = f"CoinPaprika's /coins answered {shown!r}, not a list of coins"
        raise TaskError("contract", message)
    usable = [coin for coin in listed if _is_usable(coin)]
    best: dict[str, str] = {}
    for coin in sorted(usable, key=lambda coin: coin["rank"]):
        best.setdefault(
            coin["symbol"].strip().upper(), coin["name"].strip()
        )
    return list(best.items())[:MAX_COINS]


def all_of(listed: list[Any]) -> list[ListedCoin]:
    """Every coin, active and well-ranked ones first; those without a rank come last."""
    found = [
        ListedCoin(
            coin["id"].strip(),
            coin["symbol"].strip(),
            coin["name"].strip(),
            max(0, coin["rank"]),
            coin["is_active"],
        )
        for coin in listed
        if _is_whole(coin)
    ]
    return sorted(found, key=_place)[:MAX_LISTED]


def _is_whole(coin: Any) -> bool:
    if not isinstance(coin, dict):
        return False
    names = (coin.get("id"), coin.get("symbol"), coin.get("name"))
    return (
        all(_is_text(name) for name in names)
        and isinstance(coin.get("rank"), int)
        and isinstance(coin.get("is_active"), bool)
    )


def _place(coin: ListedCoin) -> tuple[bool, bool, int, str]:
    return not coin.is_active, coin.rank == 0, coin.rank, coin.id


def _is_usable(coin: Any) -> bool:
    if not isinstance(coin, dict) or coin.get("is_active") is not True:
        return False
    rank = coin.get("rank")
    if not isinstance(rank, int) or rank <= 0:
        return False
    return _is_name(coin.get("symbol")) and _is_name(coin.get("name"))


def _is_name(value: Any) -> bool:
    return _is_text(value) and len(value.strip()) > 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= MAX_NAME
