"""How many partitions topics are given."""

from __future__ import annotations

import pytest

from shared.errors import ConfigError
from shared.kafka.partitions import partition_of
from shared.kafka.topic_admin import _check_alike, _wanted
from shared.messages.topics import COMMANDS, RAW, UNIFIED, layout


def test_there_are_as_many_as_there_were() -> None:
    """Also those of an older release, which had six."""
    assert _wanted({}, None) == 12
    assert _wanted({}, 3) == 3
    assert _wanted({RAW: 6, UNIFIED: 6, COMMANDS: 1}, None) == 6
    assert _wanted({RAW: 6, UNIFIED: 24}, None) == 24
    assert _wanted({RAW: 6}, 12) == 12
    with pytest.raises(ConfigError, match="Set PARTITIONS=6"):
        _wanted({RAW: 6, COMMANDS: 1}, 5)


def test_topics_that_differ_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(layout, "partitions", 6)
    _check_alike({RAW: 6, UNIFIED: 6, COMMANDS: 1})
    with pytest.raises(ConfigError, match="has 7 partitions and ingest"):
        _check_alike({RAW: 6, UNIFIED: 7})
    with pytest.raises(ConfigError, match="must have 1"):
        _check_alike({RAW: 6, COMMANDS: 2})


def test_a_stream_follows_the_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    streams = [f"csv/feed/{number}.csv" for number in range(100)]
    few = [partition_of(stream, 3) for stream in streams]
    monkeypatch.setattr(layout, "partitions", 3)
    assert [partition_of(stream) for stream in streams] == few
    assert set(few) == {0, 1, 2}
