"""Creating topics, and refusing those that are not as they must be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import (
    ConfigResource,
    ConfigResourceType,
)
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import ConfigError, TransientError
from shared.kafka import clients
from shared.messages.topics import TOPICS, Topic
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

log = logs.get(__name__)


async def ensure_topics(
    bootstrap: str, topics: Iterable[Topic] = TOPICS, replicas: int = 1
) -> list[str]:
    """Create missing topics; returns their names.

    A topic with another number of partitions, or with fewer replicas, is refused (ConfigError).
    Raises TransientError while Kafka is unavailable, or has too few brokers.
    """
    admin = clients.admin(bootstrap, "migration")
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in present]
        if missing:
            await _create(admin, missing, replicas)
        old = [topic for topic in topics if topic.name in present]
        await _check(admin, old, replicas)
        await _configure(admin, old, replicas)
    except (KafkaError, OSError) as error:
        await clients.refuse_bad_login(bootstrap)
        raise TransientError(
            f"Kafka at {bootstrap}: {error!r}"
        ) from error
    finally:
        await admin.close()
    return [topic.name for topic in missing]


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


async def _check(
    admin: AIOKafkaAdminClient, topics: list[Topic], replicas: int = 1
) -> None:
    if not topics:
        return
    wanted = {topic.name: topic.partitions for topic in topics}
    for found in await admin.describe_topics(list(wanted)):
        name = found["topic"]
        count = len(found["partitions"])
        fewest = min(
            len(each["replicas"]) for each in found["partitions"]
        )
        if fewest < replicas:
            raise ConfigError(
                f"topic {name} has {fewest} replicas, and KAFKA_BROKERS asks for {replicas}: give "
                "it more with Kafka's kafka-reassign-partitions, or set KAFKA_BROKERS=1"
            )
        if count != wanted[name]:
            raise ConfigError(
                f"topic {name} has {count} partitions and must have {wanted[name]}: a stream would "
                "change its partition. Delete the topic; the migration step creates it with the "
                "right count, and what is missing is read again."
            )


async def topics_exist(bootstrap: str) -> bool:
    """Whether the migration step has created every topic.

    Raises ConfigError for one with another number of partitions.
    """
    admin = clients.admin(bootstrap)
    try:
        await admin.start()
        present = set(await admin.list_topics())
        if not {topic.name for topic in TOPICS} <= present:
            return False
        await _check(admin, list(TOPICS))
    except (KafkaError, OSError):
        return False
    else:
        return True
    finally:
        await admin.close()


async def wait_for_topics(bootstrap: str, stop: asyncio.Event) -> None:
    """Wait until the broker answers and the migration step is through.

    Raises ConfigError for a topic with another number of partitions.
    """
    is_logged = False
    while not stop.is_set() and not await topics_exist(bootstrap):
        if not is_logged:
            hint = "the migration step creates them"
            log.warning("waiting_for_topics", kafka=bootstrap, hint=hint)
            is_logged = True
        await sleep_or_stop(stop, 1)
