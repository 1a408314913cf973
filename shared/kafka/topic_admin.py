"""Creating topics, and refusing those that are not as they must be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import (
    ConfigResource,
    ConfigResourceType,
)
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import ConfigError, TransientError
from shared.kafka import clients
from shared.messages.topics import (
    DEFAULT_PARTITIONS,
    RAW,
    TOPICS,
    Topic,
    layout,
)
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

log = logs.get(__name__)
Counts = dict[Topic, int]
# Brokers are asked at random.
LOOK_EVERY_S = 0.2
ENOUGH_LOOKS = 10
MOST_LOOKS = 100


async def ensure_topics(
    bootstrap: str,
    topics: Iterable[Topic] = TOPICS,
    replicas: int = 1,
    partitions: int | None = None,
    fewest: int | None = None,
    before_raising: Callable[[], Awaitable[None]] | None = None,
) -> list[str]:
    """Create missing topics; returns their names.

    `partitions`: of those along the path of a page; None: as many as there are, else the default.
    `fewest`: as many as there were, where topics were lost.
    More than there are are added after `before_raising`, which raises where they may not be.
    A topic with fewer replicas, or with too many partitions, is refused (ConfigError).
    Raises TransientError while Kafka is unavailable, or has too few brokers.
    """
    admin = clients.admin(bootstrap, "migration")
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in present]
        old = [topic for topic in topics if topic.name in present]
        found = await _counted(admin, old, replicas)
        _check_own(found)
        await _raise(
            admin,
            found,
            _wanted(found, partitions, fewest),
            before_raising,
        )
        if missing:
            await _create(admin, missing, replicas)
        await _configure(admin, old, replicas)
    except (KafkaError, OSError) as error:
        await clients.refuse_bad_login(bootstrap)
        raise TransientError(
            f"Kafka at {bootstrap}: {error!r}"
        ) from error
    finally:
        await admin.close()
    return [topic.name for topic in missing]


def _of_path(found: Counts) -> Counts:
    return {
        topic: count
        for topic, count in found.items()
        if topic.own_partitions is None
    }


def _wanted(
    found: Counts, asked: int | None, fewest: int | None = None
) -> int:
    """How many partitions the path has. Raises ConfigError: fewer cannot be."""
    most = max([*_of_path(found).values(), fewest or 0])
    if asked is not None and asked < most:
        raise ConfigError(
            f"topics have or had {most} partitions, and PARTITIONS={asked} asks for fewer: they "
            f"can be raised alone. Set PARTITIONS={most}"
        )
    return asked or most or DEFAULT_PARTITIONS


async def _raise(
    admin: AIOKafkaAdminClient,
    found: Counts,
    wanted: int,
    before: Callable[[], Awaitable[None]] | None,
) -> None:
    """Give the topics of the path what they lack. The layout is then what is wanted."""
    fewer = {
        topic.name: NewPartitions(total_count=wanted)
        for topic, count in _of_path(found).items()
        if count < wanted
    }
    if fewer:
        layout.partitions = min(_of_path(found).values())
        if before is not None:
            await before()
        await admin.create_partitions(fewer)
        await _until_all_say_so(admin, list(fewer), wanted)
        log.info("partitions_raised", topics=list(fewer), to=wanted)
    layout.partitions = wanted


async def _until_all_say_so(
    admin: AIOKafkaAdminClient, names: list[str], wanted: int
) -> None:
    """Wait until brokers, asked one after the other, show the new number.

    A service that met one which does not know it yet would work with the old one. Raises
    TransientError.
    """
    agreed = 0
    for _ in range(MOST_LOOKS):
        found = await admin.describe_topics(names)
        agreed = agreed + 1 if _all_have(found, wanted) else 0
        if agreed == ENOUGH_LOOKS:
            return
        await asyncio.sleep(LOOK_EVERY_S)
    raise TransientError("brokers do not show the new partitions yet")


def _all_have(found: list[Any], count: int) -> bool:
    return all(len(each["partitions"]) == count for each in found)


async def _create(
    admin: AIOKafkaAdminClient, topics: list[Topic], replicas: int
) -> None:
    new = [
        NewTopic(
            topic.name,
            topic.partitions,
            replicas,
            topic_configs=topic.broker_config(replicas),
        )
        for topic in topics
    ]
    response = await admin.create_topics(new)
    for name, code, *rest in response.topic_errors:
        # Another instance may have created it a moment ago; the next start checks it.
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)(f"{name}: {rest}")


async def _configure(
    admin: AIOKafkaAdminClient, topics: list[Topic], replicas: int
) -> None:
    """Settings that an older release made otherwise."""
    resources = [
        ConfigResource(
            ConfigResourceType.TOPIC,
            topic.name,
            configs=topic.broker_config(replicas),
        )
        for topic in topics
    ]
    if resources:
        await admin.alter_configs(resources)


async def _counted(
    admin: AIOKafkaAdminClient, topics: list[Topic], replicas: int = 1
) -> Counts:
    """How many partitions each has. Raises ConfigError for one with fewer replicas."""
    if not topics:
        return {}
    by_name = {topic.name: topic for topic in topics}
    counts = {}
    for found in await admin.describe_topics(list(by_name)):
        name = found["topic"]
        fewest = min(
            len(each["replicas"]) for each in found["partitions"]
        )
        if fewest < replicas:
            raise ConfigError(
                f"topic {name} has {fewest} replicas, and KAFKA_BROKERS asks for {replicas}: give "
                "it more with Kafka's kafka-reassign-partitions, or set KAFKA_BROKERS=1"
            )
        counts[by_name[name]] = len(found["partitions"])
    return counts


def _check_own(found: Counts) -> None:
    """Raises ConfigError for a topic of one partition that has more."""
    for topic, count in found.items():
        if topic.own_partitions is not None and count != topic.partitions:
            raise ConfigError(
                f"topic {topic.name} has {count} partitions and must have {topic.partitions}: its "
                "messages would lose their order. Delete the topic; the migration step creates it "
                "with the right count, and what is missing is read again."
            )


def _check_alike(found: Counts) -> None:
    """Raises ConfigError where a stream would have another partition on each topic."""
    _check_own(found)
    for topic, count in found.items():
        if count != topic.partitions:
            raise ConfigError(
                f"topic {topic.name} has {count} partitions and {RAW.name} has "
                f"{layout.partitions}: a stream would change its partition on its way. Stop the "
                "services and run the migration step, which gives all of them as many as the "
                "largest has; where it refuses since something is under way, delete the topic: it "
                "is made anew, and what is missing is read again."
            )


async def topics_exist(bootstrap: str) -> bool:
    """Whether the migration step has created every topic. The layout is then what there is.

    Raises ConfigError where topics along the path have different numbers of partitions.
    """
    admin = clients.admin(bootstrap)
    try:
        await admin.start()
        present = set(await admin.list_topics())
        if not {topic.name for topic in TOPICS} <= present:
            return False
        found = await _counted(admin, list(TOPICS))
        layout.partitions = found[RAW]
        _check_alike(found)
    except (KafkaError, OSError):
        return False
    else:
        return True
    finally:
        await admin.close()


async def wait_for_topics(bootstrap: str, stop: asyncio.Event) -> None:
    """Wait until the broker answers and the migration step is through.

    Raises ConfigError where topics along the path have different numbers of partitions.
    """
    is_logged = False
    while not stop.is_set() and not await topics_exist(bootstrap):
        if not is_logged:
            hint = "the migration step creates them"
            log.warning("waiting_for_topics", kafka=bootstrap, hint=hint)
            is_logged = True
        await sleep_or_stop(stop, 1)
