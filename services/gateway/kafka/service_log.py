"""How the instances of all services are and were in the last hour, by ingest.services."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from services.gateway.schemas.health import Moment, ServiceInstance
from shared.monitoring.service_state import (
    TOLD_EVERY_S,
    ServiceState,
    service_state_decoder,
)
from shared.values.times import from_ms

KEPT_MS = 3_600_000
MINUTE_MS = 60_000
# Three messages that did not come.
SILENT_MS = round(TOLD_EVERY_S * 3 * 1000)
MAX_INSTANCES = 500
MAX_BYTES = 16 * 1024  # of a message


@dataclass(frozen=True, slots=True)
class _Sample:
    at_ms: int
    started_at: int
    records: int
    memory_bytes: int
    waiting: int | None


@dataclass(slots=True)
class _Instance:
    """`per_minute`: the last sample of each minute, oldest first."""

    last: ServiceState
    at_ms: int
    per_minute: deque[_Sample] = field(
        default_factory=lambda: deque(maxlen=KEPT_MS // MINUTE_MS + 2)
    )

    def saw(self, state: ServiceState, at_ms: int) -> None:
        self.last = state
        self.at_ms = at_ms
        sample = _sample(state, at_ms)
        minutes = self.per_minute
        if minutes and _minute(minutes[-1].at_ms) == _minute(at_ms):
            minutes.pop()
        minutes.append(sample)


def _sample(state: ServiceState, at_ms: int) -> _Sample:
    return _Sample(
        at_ms,
        state.started_at,
        state.records,
        state.memory_bytes,
        state.waiting,
    )


class ServiceLog:
    """What a follower of the topic hands it. Pure; times are the broker's."""

    def __init__(self) -> None:
        self._instances: OrderedDict[tuple[str, str], _Instance] = (
            OrderedDict()
        )
        # Each gateway tells of itself too, so this is the broker's time now.
        self._now_ms = 0

    def saw(self, record: Any) -> None:
        """Raises ValueError for what is no state of a service."""
        value = record.value or b""
        if len(value) > MAX_BYTES:
            raise ValueError(
                f"{len(value)} bytes are no state of a service"
            )
        state = service_state_decoder.decode(value)
        self._now_ms = max(self._now_ms, record.timestamp)
        key = (state.service, state.instance)
        known = self._instances.setdefault(
            key, _Instance(state, record.timestamp)
        )
        known.saw(state, record.timestamp)
        self._instances.move_to_end(key)
        self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._instances) > MAX_INSTANCES:
            self._instances.popitem(last=False)

    def instances(self) -> Iterator[ServiceInstance]:
        """Those of the last hour, by service and name."""
        for key in sorted(self._instances):
            each = self._instances[key]
            if each.at_ms > self._now_ms - KEPT_MS:
                yield _shown(each, self._now_ms)


def _shown(each: _Instance, now_ms: int) -> ServiceInstance:
    state = each.last
    minutes = [
        sample
        for sample in each.per_minute
        if sample.at_ms > now_ms - KEPT_MS - MINUTE_MS
    ]
    is_alive = each.at_ms > now_ms - SILENT_MS
    history = list(_moments(minutes))
    return ServiceInstance(
        service=state.service,
        instance=state.instance,
        version=state.version,
        started_at=from_ms(state.started_at),
        seen_at=from_ms(each.at_ms),
        alive=is_alive,
        ready=is_alive and state.ready,
        reason=state.reason if is_alive else "nothing was heard of it",
        memory_bytes=state.memory_bytes,
        cpu_seconds=state.cpu_seconds,
        records=state.records,
        records_per_second=(
            history[-1].records_per_second
            if history and is_alive
            else 0.0
        ),
        waiting=state.waiting,
        history=history,
    )


def _moments(minutes: list[_Sample]) -> Iterator[Moment]:
    """What each minute brought, counted from the minute before, or from the start."""
    before: _Sample | None = None
    for each in minutes:
        since = _begin(before, each)
        if since is not None:
            seconds = max(1.0, (each.at_ms - since.at_ms) / 1000)
            new = max(0, each.records - since.records)
            yield Moment(
                time=from_ms(each.at_ms),
                records_per_second=round(new / seconds, 2),
                memory_bytes=each.memory_bytes,
                waiting=each.waiting,
            )
        before = each


def _begin(before: _Sample | None, each: _Sample) -> _Sample | None:
    """Since when a sample counts; None where that is not known, as of the first that is kept."""
    if before is not None and before.started_at == each.started_at:
        return before
    # By the clock of the instance, which may be wrong.
    if not 0 <= each.at_ms - each.started_at <= 2 * MINUTE_MS:
        return None
    return _Sample(each.started_at, each.started_at, 0, 0, None)


def _minute(at_ms: int) -> int:
    return at_ms // MINUTE_MS
