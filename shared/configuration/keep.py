"""`python -m shared.configuration.keep dump`: what is configured at run time, a line of JSON each.

`load` puts such lines back, but for what the topic knows: that is newer. The lines are signed, and
count only where the secret is the same.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from aiokafka import TopicPartition

from shared.kafka import clients
from shared.messages.topics import CONFIGURATION
from shared.runtime.settings import CommonSettings, load_or_exit

CLIENT = "configuration-keep"
TIMEOUT_S = 30.0
_AT = TopicPartition(CONFIGURATION.name, 0)


async def dump(bootstrap: str) -> dict[str, str]:
    """The newest message of each key. Raises KafkaError, TimeoutError."""
    consumer = clients.consumer(bootstrap, CLIENT, group=None)
    found: dict[str, str] = {}
    async with asyncio.timeout(TIMEOUT_S):
        await consumer.start()
        try:
            consumer.assign([_AT])
            await consumer.seek_to_beginning(_AT)
            end = (await consumer.end_offsets([_AT]))[_AT]
            while await consumer.position(_AT) < end:
                batch = await consumer.getmany(timeout_ms=500)
                found |= dict(map(_texts, batch.get(_AT, [])))
        finally:
            await consumer.stop()
    return {key: value for key, value in found.items() if key and value}


def _texts(record: Any) -> tuple[str, str]:
    key, value = record.key or b"", record.value or b""
    return key.decode("utf-8", "replace"), value.decode(
        "utf-8", "replace"
    )


async def load(bootstrap: str, kept: Mapping[str, str]) -> int:
    """Returns how many were put back. Raises KafkaError, TimeoutError."""
    missing = _without(kept, await dump(bootstrap))
    producer = clients.producer(bootstrap, CLIENT)
    async with asyncio.timeout(TIMEOUT_S):
        await producer.start()
        try:
            for key, value in missing.items():
                await producer.send_and_wait(
                    CONFIGURATION.name, value.encode(), key=key.encode()
                )
        finally:
            await producer.stop()
    return len(missing)


def _without(
    kept: Mapping[str, str], known: Mapping[str, str]
) -> dict[str, str]:
    return {key: value for key, value in kept.items() if key not in known}


def main() -> int:
    bootstrap = load_or_exit(CommonSettings).kafka_bootstrap_servers
    match sys.argv[1:]:
        case ["dump"]:
            found = asyncio.run(dump(bootstrap))
            for pair in sorted(found.items()):
                sys.stdout.write(json.dumps(pair) + "\n")
        case ["load"]:
            kept = dict(map(json.loads, sys.stdin))
            sys.stdout.write(f"{asyncio.run(load(bootstrap, kept))}\n")
        case _:
            sys.stderr.write("say dump or load\n")
            return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
