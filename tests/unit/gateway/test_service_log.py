"""What the gateway makes of what services tell of themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from services.gateway.kafka.service_log import (
    KEPT_MS,
    MAX_INSTANCES,
    MINUTE_MS,
    SILENT_MS,
    ServiceLog,
)
from services.gateway.schemas.health import ServiceInstance
from shared.messages.serialization import encode
from shared.monitoring.service_state import ServiceState

BEGIN_MS = 1_700_000_000_000 // MINUTE_MS * MINUTE_MS

DISTANT = (
    b'{"type":"ServiceState","service":"a","instance":"b","version":"c","started_at":1e300,'
    b'"ready":true,"reason":"","records":1,"memory_bytes":1,"cpu_seconds":1}'
)


@pytest.fixture
def log() -> ServiceLog:
    return ServiceLog()


def told(
    log: ServiceLog,
    after_ms: int,
    *,
    instance: str = "host/loader-0",
    **facts: Any,
) -> None:
    known = {
        "service": "loader",
        "version": "1",
        "started_at": BEGIN_MS,
        "ready": True,
        "reason": "",
        "records": 0,
        "memory_bytes": 90_000_000,
        "cpu_seconds": 1.5,
        "waiting": 2,
        **facts,
    }
    value = encode(ServiceState(instance=instance, **known))
    log.saw(SimpleNamespace(value=value, timestamp=BEGIN_MS + after_ms))


def the_one(log: ServiceLog) -> ServiceInstance:
    (found,) = log.instances()
    return found


def test_records_a_second_are_those_of_each_minute(
    log: ServiceLog,
) -> None:
    told(log, 59_000, records=100)
    told(log, 60_000 + 29_000, records=5_000)
    told(log, 60_000 + 59_000, records=6_100)
    told(log, 120_000 + 59_000, records=6_100)
    found = the_one(log)
    rates = [each.records_per_second for each in found.history]
    assert rates == [pytest.approx(100 / 59, abs=0.01), 100, 0]
    assert (found.records, found.records_per_second) == (6_100, 0)
    assert (found.alive, found.ready, found.waiting) == (True, True, 2)


def test_a_start_counts_from_nothing_again(log: ServiceLog) -> None:
    told(log, 30_000, records=9_000)
    told(log, 90_000, records=600, started_at=BEGIN_MS + 80_000)
    assert the_one(log).records_per_second == 60


def test_what_was_done_before_anything_was_heard_is_no_rate(
    log: ServiceLog,
) -> None:
    told(log, 10 * MINUTE_MS, records=9_000_000)
    assert the_one(log).history == []
    told(log, 11 * MINUTE_MS, records=9_000_060)
    assert the_one(log).records_per_second == 1


def test_a_clock_that_is_wrong_makes_no_rate(log: ServiceLog) -> None:
    an_hour_ahead = BEGIN_MS + 3_600_000
    told(log, 0, records=9, started_at=an_hour_ahead)
    told(log, MINUTE_MS, records=69, started_at=an_hour_ahead)
    assert the_one(log).records_per_second == 1


def test_one_that_is_silent_is_not_ready_whatever_it_said_last(
    log: ServiceLog,
) -> None:
    told(log, 0, records=5)
    told(log, SILENT_MS, instance="host/loader-1")
    gone, other = log.instances()
    assert (gone.alive, gone.ready) == (False, False)
    assert gone.reason == "nothing was heard of it"
    assert (other.alive, other.ready) == (True, True)


def test_one_that_is_gone_is_listed_for_an_hour(log: ServiceLog) -> None:
    told(log, 0)
    told(log, KEPT_MS - 1, instance="host/loader-1")
    assert len(list(log.instances())) == 2
    told(log, KEPT_MS, instance="host/loader-1")
    assert the_one(log).instance == "host/loader-1"


def test_an_hour_is_kept_and_no_more(log: ServiceLog) -> None:
    for n in range(200):
        told(log, n * MINUTE_MS, records=n * 60)
    history = the_one(log).history
    assert len(history) == 60
    assert {each.records_per_second for each in history} == {1}


def test_very_many_instances_do_not_take_all_memory(
    log: ServiceLog,
) -> None:
    for n in range(MAX_INSTANCES + 10):
        told(log, n, instance=f"host/{n}")
    found = list(log.instances())
    assert len(found) == MAX_INSTANCES
    assert "host/0" not in {each.instance for each in found}


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b"[1]",
        b'{"type":"ServiceState","service":"\\u0000"}',
        b" " * 20_000,
        DISTANT,
    ],
)
def test_what_is_no_state_is_refused(
    log: ServiceLog, value: bytes | None
) -> None:
    """The follower passes over a record for which this raises."""
    with pytest.raises((msgspec.DecodeError, ValueError)):
        log.saw(SimpleNamespace(value=value, timestamp=BEGIN_MS))
    assert list(log.instances()) == []
