"""Whether the services behind Kafka get on."""

from __future__ import annotations

from aiokafka import TopicPartition

from services.gateway.kafka.command_bus import watched_groups
from services.gateway.kafka.group_watch import GroupWatch
from shared.access.signatures import signed
from shared.configuration.setting_log import SettingLog
from shared.configuration.settings import Setting, Webhook
from shared.kafka.lag import GroupPosition, GroupPositions
from shared.kafka.starts import Starts
from shared.messages.checkpoints import Started
from shared.messages.serialization import encode
from shared.messages.topics import WATCHER_GROUP

AT = TopicPartition("ingest.unified", 0)
OTHER = TopicPartition("ingest.unified", 1)


def stands(**committed: int) -> GroupPositions:
    """Of ten messages in each partition."""
    names = {"at": AT, "other": OTHER}
    return {
        names[name]: GroupPosition(0, 10, offset)
        for name, offset in committed.items()
    }


def test_messages_that_wait_for_long_are_told() -> None:
    watch = GroupWatch("loader", 120)
    watch.saw(0, stands(at=10))
    watch.saw(10, stands(at=5))
    watch.saw(130, stands(at=5))
    assert not list(watch.reasons())
    watch.saw(140, stands(at=5))
    (reason,) = watch.reasons()
    assert reason.startswith(
        "stuck: 5 messages of ingest.unified wait for the loader"
    )
    watch.saw(141, stands(at=6))
    assert not list(watch.reasons())


def test_one_partition_is_enough() -> None:
    watch = GroupWatch("loader", 120)
    for second in range(0, 140, 10):
        watch.saw(second, stands(at=2, other=min(second // 20, 9)))
    assert list(watch.reasons())


def test_a_log_that_lost_its_end_waits_too() -> None:
    watch = GroupWatch("loader", 120)
    watch.saw(0, stands(at=20))
    watch.saw(130, stands(at=20))
    assert list(watch.reasons())


def test_the_notifier_is_watched_where_there_are_webhooks() -> None:
    settings = SettingLog("secret")
    assert WATCHER_GROUP not in watched_groups(settings)
    hook = Webhook(url="http://a", salt="s")
    for version, value in ((1, hook), (2, None)):
        setting = Setting(
            name="webhook/a", version=version, value=value, changed_at=5
        )
        settings.take(signed(setting, "secret"))
        is_watched = WATCHER_GROUP in watched_groups(settings)
        assert is_watched == (value is not None)


def test_an_instance_that_starts_again_and_again_is_told() -> None:
    starts = Starts()
    cursor = encode(Started(instance="host/loader-0"))
    for minute in range(4):
        starts.saw("loader/@started", cursor, minute * 60_000)
    other = encode(Started(instance="host/loader-1"))
    starts.saw("loader/@started", other, 200_000)
    assert not list(starts.reasons(250_000))
    starts.saw("loader/@started", cursor, 240_000)
    (reason,) = starts.reasons(250_000)
    assert reason.startswith("restarts: the loader host/loader-0 was")
    assert not list(starts.reasons(700_000))
