"""Creating topics, and refusing those that are not as they must be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from shared.errors import ConfigError, TransientError
from shared.messages.topics import TOPICS, Topic
from shared.runtime import logs
from shared.runtime.lifecycle import sleep_or_stop

log = logs.get(__name__)


async def ensure_topics(bootstrap: str, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create missing topics; returns their names. A topic with another partition count is refused (ConfigError)."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="migration")
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in present]
        if missing:
            await _create(admin, missing)
        await _check(admin, [topic for topic in topics if topic.name in present])
    except (KafkaError, OSError) as error:
        raise TransientError(f"Kafka at {bootstrap}: {error!r}") from error
    finally:
        await admin.close()
    return [topic.name for topic in missing]


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    response = await admin.create_topics([NewTopic(t.name, t.partitions, 1, topic_configs=t.broker_config()) for t in topics])
    for name, code, *rest in response.topic_errors:
        # Another instance may have created it a moment ago; _check of the next start looks at it.
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)(f"{name}: {rest}")


async def _check(admin: AIOKafkaAdminClient, topics: list[Topic]) -> None:
    for found in await admin.describe_topics([topic.name for topic in topics]) if topics else []:
        wanted = next(topic for topic in topics if topic.name == found["topic"])
        count = len(found["partitions"])
        if count != wanted.partitions:
            raise ConfigError(
                f"topic {wanted.name} has {count} partitions and must have {wanted.partitions}: a stream would change its partition. "
                "Delete the topic; the migration step creates it with the right count, and what is missing is read again."
            )


async def topics_exist(bootstrap: str) -> bool:
    """Whether the migration step has created every topic. Raises ConfigError for one with another number of partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
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
    """Wait until the broker answers and the migration step is through. Raises ConfigError for a wrong number of partitions."""
    said = False
    while not stop.is_set() and not await topics_exist(bootstrap):
        if not said:
            log.warning("waiting_for_topics", kafka=bootstrap, hint="the migration step creates them")
            said = True
        await sleep_or_stop(stop, 1)
